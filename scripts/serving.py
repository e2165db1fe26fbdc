"""`sylvigie serve`: the service in this process, or in several."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import structlog
import uvicorn
from fastapi import FastAPI

from api.main import create_app
from api.settings import data_folder, load_settings, set_data_folder
from scripts.store_commands import open_store


def run_server(host: str, port: int, workers: int, data_dir: Path | None) -> None:
    """Serve until told to stop.

    Parameters
    ----------
    host, port
        Where it listens.
    workers
        Processes; each keeps its own rate limits and figures.
    data_dir
        The data directory; the setting's where None.

    Raises
    ------
    tiles.errors.StoreError
        When the store is not there, or of another version.
    """
    # Told here in a sentence, before any process starts.
    root = data_folder(data_dir).resolve()
    open_store(root).close()
    set_data_folder(root)
    print(f"http://{host}:{port}/api/v1", file=sys.stderr)
    uvicorn.run(
        "scripts.serving:served",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=20,
    )


def served() -> FastAPI:
    """The service by the environment, for each process."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    return create_app(load_settings())
