"""The training table keeps what it is given, and refuses what does not fit with one sentence."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapely

from detector.features import FEATURES
from models.causes import Cause
from models.dataset import TrainingTable, concatenate, events_path, place_folds, read_table, write_table
from models.doors import read_own, rows_of_reviews
from models.schema import COLUMNS, FEATURE_NAMES, REVIEW_COLUMNS
from tiles.errors import DatasetError, OutputError

NUMBERS = range(6)


def features(count: int = 6) -> pd.DataFrame:
    """Values within each feature's range, one of them unknown."""
    values = {f.name: np.full(count, f.range[0] if f.range[0] is not None else 0.5, float) for f in FEATURES}
    frame = pd.DataFrame(values)
    frame.loc[0, FEATURE_NAMES[0]] = np.nan
    return frame


def rows() -> list[dict[str, Any]]:
    return [
        {
            "id": f"row-{5 - number}",
            "cause": ["clear_cut", "fire", "no_event"][number % 3],
            "place": f"place-{number // 2}",
            "source": "own",
            "event_date": dt.date(2018, 5, 1 + number) if number else None,
            "first_low": dt.date(2018, 6, 1),
            "geometry": shapely.box(0, 45, 0.01, 45.01) if number else None,
        }
        for number in NUMBERS
    ]


def event(**values: Any) -> dict[str, Any]:
    return {
        "event_id": "e1",
        "cause": "fire",
        "event_date": dt.date(2018, 5, 2),
        "place": "place-0",
        "source": "own",
        "found": True,
    } | values


def table() -> TrainingTable:
    return TrainingTable.build(rows(), features(), [event()])


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    made = table()
    content = write_table(made, tmp_path / "t.parquet", {"seed": 1})
    back = read_table(tmp_path / "t.parquet")
    assert back.content_hash == content == made.content_hash
    pd.testing.assert_frame_equal(back.rows.drop(columns="geometry"), made.rows.drop(columns="geometry"))
    pd.testing.assert_frame_equal(back.events, made.events)
    assert list(back.rows.id) == sorted(back.rows.id)
    assert list(back.rows.columns) == [*(column.name for column in COLUMNS), *FEATURE_NAMES, "geometry"]
    assert back.rows.is_clearcut.sum() == 2
    assert set(back.rows.year) == {2018}
    assert back.rows.geometry.isna().sum() == 1
    assert back.features.shape == (6, len(FEATURES))
    assert [path.name for path in tmp_path.iterdir()].count("t.events.parquet") == 1
    assert not list(tmp_path.glob(".*partial*"))


def test_other_tools_read_it_as_geoparquet(tmp_path: Path) -> None:
    import geopandas as gpd

    write_table(table(), tmp_path / "t.parquet")
    frame = gpd.read_parquet(tmp_path / "t.parquet")
    assert frame.crs.to_epsg() in (4326, None)
    assert frame.total_bounds[0] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cause": "felling"}, "has the cause 'felling' in row 1: give one of clear_cut"),
        ({"source": "hearsay"}, "has the source 'hearsay'"),
        ({"weight": -1.0}, "weight in row 1 that is not 0 or more"),
        ({"id": "row-1"}, "has the id 'row-1' twice"),
        ({"place": None}, "has no place in row 1"),
        ({"is_clearcut": False}, "contradicts itself in row 1"),
        ({"event_share": 1.5}, "event_share that is not between 0 and 1"),
        ({"slope_pct": -1.0}, "slope_pct in row 1 that is not 0 or more"),
        ({"first_low": "soon"}, "has a first_low that is no date"),
        ({"event_area_ha": "large"}, "has a event_area_ha that is no number"),
    ],
)
def test_rows_that_do_not_fit_are_refused(change: dict[str, Any], said: str) -> None:
    given = rows()
    if "is_clearcut" in change:
        given = [one | {"is_clearcut": one["cause"] == "clear_cut"} for one in given]
    if "weight" in change:
        given = [one | {"weight": 1.0} for one in given]
    given[0] |= change
    with pytest.raises(DatasetError) as refused:
        TrainingTable.build(given, features())
    assert said in str(refused.value)


def test_features_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DatasetError, match=f"lacks the feature {FEATURE_NAMES[3]}"):
        TrainingTable.build(rows(), features().drop(columns=FEATURE_NAMES[3]))
    wrong = features()
    wrong.loc[4, "compactness"] = 1.5
    with pytest.raises(DatasetError, match=r"compactness = 1\.5 in row 5, which lies outside 0 to 1"):
        TrainingTable.build(rows(), wrong)


def test_a_table_that_was_altered_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(table(), path)
    stored = pq.read_table(path)
    weights = stored.column_names.index("weight")
    pq.write_table(stored.set_column(weights, "weight", [[2.0] * 6]), path)
    with pytest.raises(DatasetError, match="not what was written"):
        read_table(path)
    write_table(table(), path)
    pq.write_table(stored.drop_columns([FEATURE_NAMES[0]]), path)
    with pytest.raises(DatasetError, match=f"it lacks {FEATURE_NAMES[0]}"):
        read_table(path)


def test_a_table_whose_events_are_another_s_is_refused(tmp_path: Path) -> None:
    write_table(table(), tmp_path / "t.parquet")
    write_table(TrainingTable.build(rows(), features(), [event(found=False)]), tmp_path / "u.parquet")
    events_path(tmp_path / "u.parquet").replace(events_path(tmp_path / "t.parquet"))
    with pytest.raises(DatasetError, match="not what was written"):
        read_table(tmp_path / "t.parquet")


@pytest.mark.parametrize("text", [None, "no table", ""])
def test_what_is_no_table_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "t.parquet").write_text(text)
    with pytest.raises(DatasetError, match="cannot be read as a training table"):
        read_table(tmp_path / "t.parquet")


def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_table(table(), tmp_path / "file" / "t.parquet")


def test_tables_are_joined_once() -> None:
    with pytest.raises(DatasetError, match="twice"):
        concatenate([table(), table()])
    assert len(concatenate([table()]).rows) == 6


def test_folds_keep_places_whole_and_even() -> None:
    rng = np.random.default_rng(1)
    places = np.array([f"p{number}" for number in rng.integers(0, 23, 2000)], object)
    fold = place_folds(places, 5, seed=2)
    for name in set(places):
        assert len(set(fold[places == name])) == 1
    assert np.bincount(fold).min() > 0.8 * 2000 / 5
    order = rng.permutation(2000)
    assert np.array_equal(place_folds(places[order], 5, seed=2), fold[order])
    with pytest.raises(DatasetError, match="need as many places"):
        place_folds(places, 30, seed=1)


def own_csv(path: Path, **columns: Any) -> Path:
    frame = features().assign(place="a", cause="fire", **columns)
    frame.to_csv(path, index=False)
    return path


def test_a_researchers_csv_is_taken_in(tmp_path: Path) -> None:
    own = read_own(own_csv(tmp_path / "mine.csv", observer="me", event_date="2020-03-04"))
    assert own.ignored == ("observer",)
    assert list(own.table.rows.source.unique()) == ["own"]
    assert own.table.rows.event_date.iloc[0] == pd.Timestamp(2020, 3, 4)
    assert own.table.features[FEATURE_NAMES[0]].isna().sum() == 1


def test_a_researchers_geoparquet_is_taken_in(tmp_path: Path) -> None:
    write_table(table(), tmp_path / "theirs.parquet")
    own = read_own(tmp_path / "theirs.parquet").table
    assert len(own.rows) == 6
    assert own.rows.geometry.notna().sum() == 5
    assert set(own.rows.source) == {"own"}


def test_labels_without_a_cause_are_cuts_and_others(tmp_path: Path) -> None:
    frame = features().assign(place="a", is_clearcut=[True, False, True, False, False, False])
    frame.to_csv(tmp_path / "mine.csv", index=False)
    causes = read_own(tmp_path / "mine.csv").table.rows.cause
    assert sorted(causes) == [Cause.CLEAR_CUT.value] * 2 + [Cause.OTHER.value] * 4


@pytest.mark.parametrize(
    ("drop", "said"),
    [
        ("place", "lacks the column place"),
        ("cause", "lacks the column cause"),
        (FEATURE_NAMES[2], f"lacks the feature {FEATURE_NAMES[2]}"),
    ],
)
def test_an_own_table_that_lacks_something_is_refused(tmp_path: Path, drop: str, said: str) -> None:
    features().assign(place="a", cause="fire").drop(columns=drop).to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(DatasetError, match=said):
        read_own(tmp_path / "mine.csv")


def test_own_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="neither CSV nor GeoParquet"):
        read_own(tmp_path / "mine.xlsx")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_own(tmp_path / "none.csv")
    features().iloc[:0].assign(place="a", cause="fire").to_csv(tmp_path / "empty.csv", index=False)
    with pytest.raises(DatasetError, match="has no row"):
        read_own(tmp_path / "empty.csv")


def reviews() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "alert_id": ["a1", "a2"],
            "cause": ["clear_cut", "field_edge"],
            "reviewer": ["r1", "r1"],
            "decided_on": [dt.date(2024, 5, 1)] * 2,
            "weight": [1.0, 0.5],
            "tile": ["31TDK"] * 2,
            "longitude": [2.0, 2.2],
            "latitude": [45.0, 45.0],
            "first_low": [dt.date(2024, 4, 1)] * 2,
        }
    )


def test_reviews_become_rows() -> None:
    made = rows_of_reviews(reviews(), features(2).set_index(pd.Index(["a2", "a1"])))
    assert list(made.rows.id) == ["review-a1", "review-a2"]
    assert list(made.rows.weight) == [1.0, 0.5]
    assert made.rows.place.nunique() == 2
    # The unknown feature is a2's, which came first.
    assert list(made.rows[FEATURE_NAMES[0]].isna()) == [False, True]
    assert {column.name for column in REVIEW_COLUMNS if column.required} <= set(reviews().columns)


def test_reviews_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DatasetError, match="lacks the column reviewer"):
        rows_of_reviews(reviews().drop(columns="reviewer"), features(2))
    with pytest.raises(DatasetError, match="alert a1, whose features are not known"):
        rows_of_reviews(reviews(), features(2))
