"""What people decided becomes training data: whose word counts, what is left out, and that nobody is named."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest

from api.access import create_token, find_caller
from api.identity.roles import Right, Role
from api.store.database import Database
from api.store.ingesting import ingest
from api.store.reports import SentReport, keep_report
from api.store.reviews import Author, Decision, review, undo
from api.store.teaching import lessons_of
from detector.alerts import ReviewState
from detector.features import FEATURES
from models.abuse import read_reviews
from models.causes import Cause
from models.dataset import read_table
from models.schema import Source
from scripts import cli
from tests.api.alerts import found_alert, scan_files
from tests.api.people import person

NAMES = ("Zoé Kerguélen", "Ydris Quinquis", "Bûcheronnage Xylo")
FOUND = [found_alert(i, latitude=44 + i / 100, slope_block_ha=float(i)) for i in range(8)]
CONFIRMED, PUBLISHED, REJECTED, UNCERTAIN, DISPUTED, UNDONE, BARE, UNSEEN = (found.id for found in FOUND)


def _decide(store: Database, name: str, author: Author, state: ReviewState, reason: Cause | None = None) -> None:
    review(store, name, Decision(state, reason, comment=f"vu avec {NAMES[0]}"), author)


def _fill(store: Database) -> None:
    features = {
        # The least that each can be, lest the training table refuse it.
        found.id: {feature.name: float(feature.range[0] or 0) for feature in FEATURES}
        for found in FOUND
        if found.id != BARE
    }
    ingest(store, scan_files(FOUND, features=features), data_dir=Path("data"))
    zoe, ydris = (person(store, name, Role.ANALYST).author for name in NAMES[:2])
    _decide(store, CONFIRMED, zoe, ReviewState.CONFIRMED)
    _decide(store, CONFIRMED, ydris, ReviewState.CONFIRMED)
    _decide(store, PUBLISHED, zoe, ReviewState.CONFIRMED)
    _decide(store, PUBLISHED, zoe, ReviewState.PUBLISHED)
    _decide(store, REJECTED, zoe, ReviewState.UNCERTAIN)
    _decide(store, REJECTED, zoe, ReviewState.REJECTED, Cause.DIEBACK)
    _decide(store, UNCERTAIN, zoe, ReviewState.UNCERTAIN)
    _decide(store, DISPUTED, zoe, ReviewState.CONFIRMED)
    _decide(store, DISPUTED, ydris, ReviewState.REJECTED, Cause.THINNING)
    _decide(store, UNDONE, zoe, ReviewState.CONFIRMED)
    undo(store, UNDONE, zoe)
    _decide(store, BARE, zoe, ReviewState.CONFIRMED)
    report = SentReport(uuid4(), PUBLISHED, dt.date(2026, 11, 20), {"owner": NAMES[2]})
    keep_report(store, report, ydris)


def test_verdicts_that_agree_are_lessons_and_the_others_are_counted(store: Database) -> None:
    _fill(store)
    lessons = lessons_of(store)
    told = lessons.reviews.set_index("alert_id")
    assert dict(told["cause"]) == {CONFIRMED: "clear_cut", PUBLISHED: "clear_cut", REJECTED: "dieback"}
    # A visit on the ground weighs more than a look at images.
    assert dict(told["weight"]) == {CONFIRMED: 0.7, PUBLISHED: 1.0, REJECTED: 0.7}
    assert set(told["reviewer"]) <= {"r1", "r2"}
    assert list(lessons.features.index) == [CONFIRMED, PUBLISHED, REJECTED]
    assert list(lessons.disagreement["cause"]) == ["clear_cut", "thinning"]
    assert list(lessons.disagreement["reviewer"]) == ["r1", "r2"]
    assert lessons.left_out == {"no features kept": 1, "not reviewed": 2, "reviewers do not agree": 1, "uncertain": 1}


def test_a_person_is_one_with_a_key_too_and_may_begin_again(store: Database) -> None:
    _fill(store)
    zoe = person(store, "zoé", Role.ANALYST).author
    token = create_token(store, "key", frozenset({Right.REVIEW}), None)
    by_key = Author(zoe.actor, zoe.user_seq, find_caller(store, token).token_seq)
    _decide(store, UNSEEN, zoe, ReviewState.CONFIRMED)
    _decide(store, UNSEEN, by_key, ReviewState.REJECTED, Cause.SNOW)
    lessons = lessons_of(store)
    assert lessons.reviews.set_index("alert_id")["cause"][UNSEEN] == "snow"
    assert UNSEEN not in set(lessons.disagreement["alert_id"])
    _decide(store, UNSEEN, zoe, ReviewState.TO_REVIEW)
    assert UNSEEN not in set(lessons_of(store).reviews["alert_id"])


def test_features_are_those_of_when_it_was_decided(store: Database) -> None:
    _fill(store)
    changed = found_alert(0, latitude=44.0, area_ha=20.0)
    later = {CONFIRMED: {feature.name: 99.0 for feature in FEATURES}}
    ingest(store, scan_files([changed], "2026-11", features=later), data_dir=Path("data"))
    assert 99.0 not in set(lessons_of(store).features.loc[CONFIRMED])


def test_the_command_writes_what_the_training_reads_and_names_nobody(
    sqlite_store: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _fill(sqlite_store)
    monkeypatch.setenv("SYLVIGIE_DATABASE_URL", f"sqlite:///{sqlite_store.url.database}")
    out, abuse = tmp_path / "reviews.parquet", tmp_path / "abuse.csv"
    monkeypatch.setattr(sys, "argv", ["sylvigie", "train", "data", "export", "--out", str(out), "--abuse", str(abuse)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    rows = read_table(out).rows
    assert set(rows["source"]) == {Source.REVIEW.value}
    assert list(rows["is_clearcut"]) == [cause == "clear_cut" for cause in rows["cause"]]
    taught = read_reviews(abuse)
    assert list(taught["is_abusive"]) == [True, False]
    assert np.allclose(taught["slope_block_ha"], [1.0, 2.0])
    assert len(pd.read_parquet(tmp_path / "reviews.disagreement.parquet")) == 2
    printed = capsys.readouterr().out
    assert "1 reviewers do not agree" in printed
    whole = printed + "".join(repr(path.read_bytes()) for path in tmp_path.iterdir() if path.is_file())
    whole += str(rows.to_dict()) + str(pd.read_parquet(tmp_path / "reviews.disagreement.parquet").to_dict())
    assert not [name for name in NAMES if name in whole]


def test_where_nothing_was_decided_the_command_says_so(
    sqlite_store: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest(sqlite_store, scan_files(FOUND), data_dir=tmp_path)
    monkeypatch.setenv("SYLVIGIE_DATABASE_URL", f"sqlite:///{sqlite_store.url.database}")
    monkeypatch.setattr(sys, "argv", ["sylvigie", "train", "data", "export", "--out", str(tmp_path / "x.parquet")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "8 not reviewed" in capsys.readouterr().err
    assert not (tmp_path / "x.parquet").exists()
