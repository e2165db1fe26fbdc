"""The training table: one row a patch, with its features, what it was, where, and who says so.

A table is a GeoParquet file, and beside it the events that were looked for (``NAME.events.parquet``), found or missed:
producer's accuracy is counted on them. Both carry a hash of their content. Who trains calls `read_table` or
`TrainingTable`'s own properties, and `place_folds`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from detector.features import FEATURES
from models.causes import Cause
from models.schema import COLUMNS, EVENT_COLUMNS, FEATURE_NAMES, SCHEMA_VERSION, Column, Kind, Source
from tiles.errors import DatasetError, OutputError
from tiles.placing import written_beside

_SHARES: Final = ("event_share", "found_share")
_ARROW: Final = {
    Kind.TEXT: pa.string(),
    Kind.NUMBER: pa.float64(),
    Kind.COUNT: pa.int32(),
    Kind.FLAG: pa.bool_(),
    Kind.DATE: pa.date32(),
}
_MAY_BE_WRONG: Final = (TypeError, ValueError, OverflowError, pa.ArrowException)


@dataclass(frozen=True, eq=False)
class TrainingTable:
    """Checked rows and events, each by identifier.

    Parameters
    ----------
    rows
        `COLUMNS`, features, ``geometry`` (shapely, or None). Texts are objects (None where unknown), numbers float64
        (NaN), dates datetime64[s] (NaT), flags bool, ``year`` int64.
    events
        `EVENT_COLUMNS`, likewise.
    """

    rows: pd.DataFrame
    events: pd.DataFrame

    @classmethod
    def build(
        cls,
        rows: Sequence[Mapping[str, Any]],
        features: pd.DataFrame,
        events: Sequence[Mapping[str, Any]] = (),
        where: str = "The training table",
    ) -> Self:
        """Make a table of rows, their features in the same order, and events.

        Parameters
        ----------
        rows
            Values by names of `COLUMNS` and ``geometry``; what is left out is unknown. `is_clearcut`, `weight` and
            `year` have defaults.
        features
            Columns of `FEATURES`.
        events
            Values by names of `EVENT_COLUMNS`.
        where
            What an error calls the table.

        Raises
        ------
        tiles.errors.DatasetError
            When a value does not fit.
        """
        missing = [name for name in FEATURE_NAMES if name not in features.columns]
        if missing:
            raise DatasetError(f"{where} lacks the feature {missing[0]}: give all {len(FEATURE_NAMES)} features.")
        frame = pd.DataFrame(list(rows), index=range(len(rows)))
        frame = pd.concat([frame, features[list(FEATURE_NAMES)].reset_index(drop=True)], axis=1)
        return cls(_rows(frame, where), _events(pd.DataFrame(list(events), index=range(len(events))), where))

    @property
    def features(self) -> pd.DataFrame:
        """Features alone, float64: what a model sees."""
        return self.rows[list(FEATURE_NAMES)]

    @property
    def is_clearcut(self) -> NDArray[np.bool_]:
        """Labels of the clear-cut model."""
        return self.rows["is_clearcut"].to_numpy(bool)

    @property
    def places(self) -> NDArray[np.object_]:
        """Place of each row."""
        return self.rows["place"].to_numpy(object)

    @property
    def content_hash(self) -> str:
        """SHA-256 of the content, the same for the same values whatever file they are in."""
        digest = hashlib.sha256(f"sylvigie training table {SCHEMA_VERSION}".encode())
        for frame, columns in ((self.rows, COLUMNS), (self.events, EVENT_COLUMNS)):
            kinds = {column.name: column.kind for column in columns}
            for name in frame.columns:
                digest.update(f"\x1d{name}\x1d{len(frame)}\x1d".encode())
                digest.update(_bytes_of(frame[name], None if name == "geometry" else kinds.get(name, Kind.NUMBER)))
        return digest.hexdigest()


def concatenate(tables: Sequence[TrainingTable]) -> TrainingTable:
    """Put tables together.

    Raises
    ------
    tiles.errors.DatasetError
        When two of them have an identifier in common.
    """
    where = "The joined training table"
    rows = pd.concat([table.rows for table in tables], ignore_index=True)
    events = pd.concat([table.events for table in tables], ignore_index=True)
    return TrainingTable(_rows(rows, where), _events(events, where))


def place_folds(places: NDArray[np.object_], folds: int, seed: int) -> NDArray[np.int64]:
    """Deal places out to folds, about as many rows to each; no place is in two.

    Parameters
    ----------
    places : ndarray of object, shape (rows,)
        Place of each row.
    folds
        How many.
    seed
        Which of equally large places goes where.

    Returns
    -------
    fold : ndarray of int64, shape (rows,)
        0 to `folds` - 1. The same for a place whatever the order of the rows.

    Raises
    ------
    tiles.errors.DatasetError
        When there are fewer places than folds.
    """
    names, of_row, sizes = np.unique(places.astype(str), return_inverse=True, return_counts=True)
    if names.size < folds:
        raise DatasetError(f"{folds} folds need as many places, and there are {names.size}: give fewer folds.")
    shuffled = np.random.default_rng(seed).permutation(names.size)
    fold_of, load = np.empty(names.size, np.int64), np.zeros(folds, np.int64)
    for number in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold_of[number] = int(load.argmin())
        load[fold_of[number]] += sizes[number]
    return np.asarray(fold_of[of_row])


def events_path(path: Path) -> Path:
    """Where the events of a table's file are."""
    return path.with_suffix(".events.parquet")


def write_table(table: TrainingTable, path: Path, about: Mapping[str, Any] | None = None) -> str:
    """Write a table as GeoParquet, and its events beside it.

    Each file is there whole, or as it was; should only the first be put in its place, `read_table` says so.

    Parameters
    ----------
    table
        What is written. The same gives the same bytes.
    path
        Of the file.
    about
        What the file is to say of its making, such as the seed.

    Returns
    -------
    str
        The content's hash.

    Raises
    ------
    tiles.errors.OutputError
        When the folder does not take it.
    """
    content = table.content_hash
    said = {"schema_version": SCHEMA_VERSION, "content_hash": content, "about": dict(about or {})}
    geo = {
        "version": "1.0.0",
        "primary_column": "geometry",
        "columns": {"geometry": {"encoding": "WKB", "geometry_types": []}},
    }
    # Put in place in the reverse order: who finds the rows finds their events.
    parts = (
        (path, _arrow(table.rows, COLUMNS), {"geo": json.dumps(geo), "sylvigie": json.dumps(said)}),
        (events_path(path), _arrow(table.events, EVENT_COLUMNS), {"sylvigie": json.dumps(said)}),
    )
    try:
        with ExitStack() as stack:
            for target, columns, metadata in parts:
                partial = stack.enter_context(written_beside(target))
                pq.write_table(columns.replace_schema_metadata(metadata), partial, compression="zstd")
    except OSError as error:
        raise OutputError(f"The training table cannot be written to {path} ({error.strerror or error}).") from error
    return content


def read_table(path: Path) -> TrainingTable:
    """Read what `write_table` wrote.

    Raises
    ------
    tiles.errors.DatasetError
        When a file is absent, of another schema or other features, or was altered.
    """
    again = "make it again with `sylvigie train data`"
    rows, said = _read(path)
    lacking = sorted({*(c.name for c in COLUMNS), *FEATURE_NAMES, "geometry"} - set(rows.columns))
    beyond = sorted(set(rows.columns) - {*(c.name for c in COLUMNS), *FEATURE_NAMES, "geometry"})
    if said.get("schema_version") != SCHEMA_VERSION or lacking or beyond:
        what = f"lacks {lacking[0]}" if lacking else f"has {beyond[0]}" if beyond else "is of another version"
        raise DatasetError(f"{path} is no training table of this version of Sylvigie (it {what}): {again}.")
    events, said_of_events = _read(events_path(path))
    table = TrainingTable(_rows(rows, str(path)), _events(events, str(events_path(path))))
    if not said["content_hash"] == said_of_events.get("content_hash") == table.content_hash:
        raise DatasetError(f"{path} and its events are not what was written (their hash differs): {again}.")
    return table


def _read(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    try:
        table = pq.read_table(path)
        frame = table.to_pandas(date_as_object=False)
        if "geometry" in frame:
            frame["geometry"] = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
        return frame, json.loads((table.schema.metadata or {}).get(b"sylvigie", b"{}"))
    except (OSError, *_MAY_BE_WRONG, shapely.GEOSException) as error:
        raise DatasetError(f"{path} cannot be read as a training table ({_first_line(error)}).") from error


def _rows(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Checked rows with all columns, by identifier."""
    frame = frame.copy()
    if "weight" not in frame:
        frame["weight"] = 1.0
    if "cause" in frame and "is_clearcut" not in frame:
        frame["is_clearcut"] = frame["cause"] == Cause.CLEAR_CUT.value
    if "year" not in frame:
        lows = _as_kind(frame.get("first_low", pd.Series([None] * len(frame))), Kind.DATE, "first_low", where)
        frame["year"] = lows.dt.year.fillna(0).astype(int)
    checked = _checked(frame, COLUMNS, where)
    for name in FEATURE_NAMES:
        checked[name] = _as_kind(frame[name], Kind.NUMBER, name, where)
    checked["geometry"] = _geometries(frame)
    _check_values(checked, where)
    return checked.sort_values("id", kind="stable").reset_index(drop=True)


def _geometries(frame: pd.DataFrame) -> pd.Series:
    """Shapes as they are, None where there is none."""
    values = np.full(len(frame), None, object)
    if "geometry" in frame:
        values[:] = [None if value is None or value is pd.NA else value for value in frame["geometry"]]
    return pd.Series(values, index=frame.index, dtype=object)


def _events(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    checked = _checked(frame, EVENT_COLUMNS, f"{where} (its events)")
    _check_members(checked, "cause", Cause, where)
    _check_unique(checked, "event_id", where)
    return checked.sort_values("event_id", kind="stable").reset_index(drop=True)


def _checked(frame: pd.DataFrame, columns: Sequence[Column], where: str) -> pd.DataFrame:
    """The columns of a definition, of their kinds; those that are left out are unknown."""
    checked = {}
    for column in columns:
        if column.name not in frame:
            if column.required and len(frame):
                raise DatasetError(f"{where} lacks the column {column.name} ({column.meaning.lower()}).")
            frame = frame.assign(**{column.name: pd.Series([None] * len(frame), index=frame.index, dtype=object)})
        if column.required and frame[column.name].isna().any():
            raise DatasetError(f"{where} has no {column.name} in row {_first(frame[column.name].isna())}.")
        checked[column.name] = _as_kind(frame[column.name], column.kind, column.name, where)
    for name in _SHARES:
        if name in checked and not checked[name].dropna().between(0, 1).all():
            raise DatasetError(f"{where} has a {name} that is not between 0 and 1.")
    return pd.DataFrame(checked)


def _as_kind(values: pd.Series, kind: Kind, name: str, where: str) -> pd.Series:
    """A column as its kind is kept in memory."""
    try:
        match kind:
            case Kind.NUMBER:
                return pd.to_numeric(values).astype(np.float64)
            case Kind.COUNT:
                return pd.to_numeric(values).astype(np.int64)
            case Kind.DATE:
                return pd.to_datetime(values, format="ISO8601").astype("datetime64[s]").dt.normalize()
            case Kind.FLAG:
                flags = {True: True, False: False, "true": True, "false": False}  # 1 and 0 are equal to them
                read = [flags[value.lower() if isinstance(value, str) else value] for value in values]
                return pd.Series(read, index=values.index, dtype=bool)
            case Kind.TEXT:
                texts = np.full(len(values), None, object)
                texts[:] = [None if value is None or value != value else str(value) for value in values]
                return pd.Series(texts, index=values.index, dtype=object)
    except (KeyError, *_MAY_BE_WRONG) as error:
        raise DatasetError(f"{where} has a {name} that is no {kind} ({_first_line(error)}).") from error


def _check_values(rows: pd.DataFrame, where: str) -> None:
    _check_unique(rows, "id", where)
    _check_members(rows, "cause", Cause, where)
    _check_members(rows, "source", Source, where)
    wrong = rows["is_clearcut"] != (rows["cause"] == Cause.CLEAR_CUT.value)
    if wrong.any():
        raise DatasetError(f"{where} contradicts itself in row {_first(wrong)}: is_clearcut is not what its cause is.")
    wrong = ~(np.isfinite(rows["weight"]) & (rows["weight"] >= 0))
    if wrong.any():
        raise DatasetError(f"{where} has a weight in row {_first(wrong)} that is not 0 or more.")
    wrong = rows["slope_pct"].notna() & ~(rows["slope_pct"].between(0, np.inf, inclusive="left"))
    if wrong.any():
        raise DatasetError(f"{where} has a slope_pct in row {_first(wrong)} that is not 0 or more.")
    for feature in FEATURES:
        low, high = feature.range
        values = rows[feature.name]
        # A millionth of slack: some values have been through single precision.
        slack = 1e-6 * max(abs(low or 0), abs(high or 0), 1)
        wrong = values.notna() & (
            ~np.isfinite(values)
            | (values < (-np.inf if low is None else low - slack))
            | (values > (np.inf if high is None else high + slack))
        )
        if wrong.any():
            raise DatasetError(
                f"{where} has {feature.name} = {values[wrong].iloc[0]:g} in row {_first(wrong)}, "
                f"which lies outside {low} to {high} ({feature.unit})."
            )


def _check_members(frame: pd.DataFrame, name: str, members: type[StrEnum], where: str) -> None:
    known = [member.value for member in members]
    wrong = ~frame[name].isin(known)
    if wrong.any():
        raise DatasetError(
            f"{where} has the {name} {frame[name][wrong].iloc[0]!r} in row {_first(wrong)}: give one of "
            f"{', '.join(known)}."
        )


def _check_unique(frame: pd.DataFrame, name: str, where: str) -> None:
    twice = frame[name].duplicated()
    if twice.any():
        raise DatasetError(f"{where} has the {name} {frame[name][twice].iloc[0]!r} twice: give each row its own.")


def _first(wrong: pd.Series) -> int:
    """Number of the first row that is so, from 1 on."""
    return int(np.flatnonzero(wrong.to_numpy(bool))[0]) + 1


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _arrow(frame: pd.DataFrame, columns: Sequence[Column]) -> Any:
    """A table as it is written."""
    kinds = {column.name: column.kind for column in columns}
    arrays = {}
    for name in frame.columns:
        if name == "geometry":
            arrays[name] = pa.array(shapely.to_wkb(frame[name].to_numpy(object)), pa.binary())
            continue
        kind = kinds.get(name, Kind.NUMBER)
        values: Any = frame[name]
        if kind is Kind.DATE:
            values = [None if pd.isna(value) else value.date() for value in values]
        arrays[name] = pa.array(values, _ARROW[kind], from_pandas=True)
    return pa.table(arrays)


def _bytes_of(values: pd.Series, kind: Kind | None) -> bytes:
    """Bytes of a column that are the same wherever it is read."""
    match kind:
        case None:
            return b"\x1f".join(b"" if shape is None else shapely.to_wkb(shape, byte_order=1) for shape in values)
        case Kind.NUMBER:
            numbers = values.to_numpy(np.float64).copy()
            numbers[np.isnan(numbers)] = np.nan  # of all the patterns of bits that are no number, one
            return numbers.astype("<f8").tobytes()
        case Kind.COUNT:
            return values.to_numpy(np.int64).astype("<i8").tobytes()
        case Kind.FLAG:
            return values.to_numpy(np.uint8).tobytes()
        case Kind.DATE:
            return b"\x1f".join(b"" if pd.isna(day) else day.date().isoformat().encode() for day in values)
        case Kind.TEXT:
            return b"\x1f".join(b"\x00" if text is None else text.encode() for text in values)
