"""Exports of the store: by the HTTP API, by command, and at a stable path after each month."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fastapi import Request
from fastapi.responses import StreamingResponse

from api.exports import ExportFormat, stream, write
from api.exports import write_stable as write_stable_file
from api.features import CollectionInfo
from api.service import Service, current_state, scope_of, service_of
from api.settings import Settings
from api.store.database import Database
from api.store.filters import AlertFilter
from api.store.reading import StoreState, all_alerts, state_of, versions_of
from tiles.errors import StoreBusyError

SOURCE: Final = "Sylvigie ; contient des données Copernicus Sentinel modifiées"


def info_of(
    database: Database, settings: Settings, asked: AlertFilter, state: StoreState, link: str | None = None
) -> CollectionInfo:
    """What an export says of itself.

    Its moment is that of the store's last change: the same store gives the same file.
    """
    models, rules = versions_of(database)
    where = f" ({asked.departement})" if asked.departement else ""
    return CollectionInfo(
        title=f"Alertes de coupes rases{where}",
        made=state.changed_at.replace(microsecond=0),
        source=SOURCE,
        licence=settings.data_licence,
        model_versions=models,
        rules_versions=rules,
        filters=asked.asked(),
        link=link,
    )


def export_answer(request: Request, asked: AlertFilter, form: ExportFormat) -> StreamingResponse:
    """An export over HTTP, written while it is read.

    Raises
    ------
    tiles.errors.StoreBusyError
        When as many exports are under way as the service writes at once.
    """
    service = service_of(request)
    if not service.exports.acquire(blocking=False):
        raise StoreBusyError("As many exports are under way as this service writes at once.")
    try:
        state = current_state(request)
        link = service.base_url(request) + f"{request.url.path}?{request.url.query}"
        info = info_of(service.database, service.settings, asked, state, link)
        name = f"alertes-{info.made:%Y%m%d}{form.suffix}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-cache"}
        chunks = _ExportChunks(service, stream(all_alerts(service.database, asked, scope_of(request)), form, info))
        return StreamingResponse(chunks, media_type=form.media_type, headers=headers)
    except BaseException:
        service.exports.release()
        raise


class _ExportChunks:
    """Chunks, and the export's place given back at their end, or when the client goes away."""

    def __init__(self, service: Service, chunks: Iterator[bytes]) -> None:
        self._service, self._chunks, self._held = service, chunks, True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the place back, and remove what was written aside."""
        if self._held:
            self._held = False
            self._service.exports.release()
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()

    def __del__(self) -> None:
        self.close()


def export_file(database: Database, settings: Settings, asked: AlertFilter, form: ExportFormat, path: Path) -> int:
    """Write an export to a file; see `api.exports.write`."""
    return write(all_alerts(database, asked), form, info_of(database, settings, asked, state_of(database)), path)


def write_stable(database: Database, settings: Settings, data_dir: Path) -> Path:
    """Write the alerts that stand to the stable path, atomically.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    tiles.errors.OutputError
        When it cannot be written; the one before stays.
    """
    asked = AlertFilter()
    info = info_of(database, settings, asked, state_of(database))
    return write_stable_file(all_alerts(database, asked), info, data_dir)
