"""Prints DISFOR's labels by cause and month, as `models.causes` keeps them: ``python -m scripts.disfor_months CSV``."""

from __future__ import annotations

from pathlib import Path

import typer

from models.causes import disfor_months


def main(labels: Path) -> None:
    """Print the table as it stands in `models.causes`."""
    for cause, counts in disfor_months(labels).items():
        print(f"    Cause.{cause.name}: {counts},")


if __name__ == "__main__":
    typer.run(main)
