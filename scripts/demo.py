"""The demo: real Sentinel-2 images of a Romanian forest, scanned as any archive is, and drawn."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from api.store.scan_files import read_scan
from detector.params import ChipParams, PatchParams
from detector.pipeline import ScanParams
from scripts.demo_archive import build_archive
from scripts.picture import draw_alerts
from scripts.report import print_result, run_with_report
from scripts.store_commands import ingested_line, put_into_store
from scripts.works import layers_and_rules, patch_scorer
from tiles.catalog import open_catalogue
from tiles.month import Month
from tiles.watch import WatchedArea

MONTH = Month(2019, 7)
MIN_AREA_HA = 0.05
"""The openings there are of 0.1 to 0.6 ha: small beside French clear-cuts."""


def run_demo(out: Path) -> None:
    """Make the archive, scan July 2019, print the alerts and draw them.

    Parameters
    ----------
    out
        Folder: ``archive/``, ``scan/``, ``demo.png`` and the store are put there.
    """
    archive = build_archive(out / "archive")
    result, cost = run_with_report(
        open_catalogue(str(archive.catalog)),
        MONTH,
        WatchedArea.open(archive.forest_mask, None),
        out / "scan",
        ScanParams(patches=PatchParams(min_area_ha=MIN_AREA_HA)),
        today=dt.datetime.now(dt.UTC).date(),
        # No French layer speaks of Romania: what they would say is null, and told.
        appraiser=layers_and_rules(out, None),
        scorer=patch_scorer(out),
        chips=ChipParams(),
    )
    print_result(result, cost, out / "scan")
    for told in put_into_store([read_scan(out / "scan")], out):
        print(f"Store: {ingested_line(told)} `make serve` shows it.")
    picture = out / "demo.png"
    draw_alerts(archive.catalog, result, picture)
    print(f"Picture: {picture}")
