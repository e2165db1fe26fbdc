"""Published alerts, evaluated anew: an alerts.geojson keeps all that it says but criteria, legal points and version."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from detector.criteria.evaluation import Evaluation, evaluate
from detector.criteria.fields import read_fields
from detector.criteria.kept import EvaluationStore, Said, written
from detector.criteria.rules import Rules
from detector.register import CLOSED_FILE, GEOJSON_FILE
from tiles.errors import InvalidParameterError, StateError
from tiles.month import Month


@dataclass(frozen=True)
class Applied:
    """What an application of rules has come to.

    Parameters
    ----------
    version
        Of the rules.
    before
        What was said of each alert before, in its file: potentially abusive (True, False, None).
    after
        What is said now, by the same identities.
    """

    version: str
    before: Mapping[str, bool | None]
    after: Mapping[str, bool | None]

    @property
    def changed(self) -> tuple[str, ...]:
        """Alerts whose answer has changed, sorted."""
        return tuple(sorted(name for name, answer in self.after.items() if self.before[name] is not answer))


def newest_alert_files(months: Path) -> tuple[Path, ...]:
    """The alerts of the newest month that is published: those that stand, and those that were closed.

    Parameters
    ----------
    months
        Folder ``months`` of the data directory.

    Raises
    ------
    tiles.errors.StateError
        When no month is published there.
    """
    found = {}
    for path in months.glob(f"*/{GEOJSON_FILE}"):
        try:
            found[Month.parse(path.parent.name)] = path.parent
        except InvalidParameterError:
            continue  # a folder of another name is not ours
    if not found:
        raise StateError(f"There are no alerts under {months}: run `sylvigie monthly` first, or give a file of alerts.")
    folder = found[max(found)]
    return tuple(path for path in (folder / GEOJSON_FILE, folder / CLOSED_FILE) if path.exists())


def apply_rules(files: Sequence[Path], rules: Rules, store: EvaluationStore, today: date) -> Applied:
    """Evaluate all alerts of files, keep what is said, and write it into the files.

    All are evaluated before anything is written. What is said is kept first, then each file is replaced whole; done
    again it gives the same.

    Parameters
    ----------
    files
        Published alerts, GeoJSON.
    rules
        The rules.
    store
        Keeps what is said.
    today
        Today.

    Raises
    ------
    tiles.errors.StateError
        When a file cannot be read, or an alert in it has no first low date.
    tiles.errors.InvalidParameterError
        When a field of an alert is not of its kind.
    tiles.errors.OutputError
        When the disk does not take it.
    """
    collections = {path: read_collection(path) for path in files}
    before: dict[str, bool | None] = {}
    said: dict[str, Said] = {}
    for path, collection in collections.items():
        for feature in collection["features"]:
            one = judge_feature(feature, rules, today, path)
            before[one.alert_id] = feature["properties"].get("potentially_abusive")
            said[one.alert_id] = one
            feature["properties"] |= one.evaluation.as_properties()
    store.keep(rules, said, today)
    for path, collection in collections.items():
        write_collection(collection, path)
    return Applied(rules.version, before, {name: one.evaluation.potentially_abusive for name, one in said.items()})


def keep_said(files: Sequence[Path], rules: Rules, store: EvaluationStore, today: date) -> None:
    """Keep what published alerts say that the rules say of them; of an alert in several files, the last counts.

    Parameters
    ----------
    files
        Published alerts, GeoJSON, judged by these rules when they were published.
    rules, store, today
        As of `apply_rules`.

    Raises
    ------
    tiles.errors.StateError, tiles.errors.OutputError
        As of `apply_rules`.
    """
    said = {}
    for path in files:
        for feature in read_collection(path)["features"]:
            evaluation = Evaluation.of_properties(feature["properties"])
            said[feature["id"]] = _said(feature, _cut_on(feature, path), evaluation, today)
    store.keep(rules, said, today)


def judge_feature(feature: Mapping[str, Any], rules: Rules, today: date, path: Path) -> Said:
    """What the rules say of a published alert.

    Parameters
    ----------
    feature
        Of an alerts.geojson.
    rules
        The rules.
    today
        Today.
    path
        Of its file, for the errors.

    Raises
    ------
    tiles.errors.StateError, tiles.errors.InvalidParameterError
        As of `apply_rules`.
    """
    cut_on = _cut_on(feature, path)
    try:
        evaluation = evaluate(feature["properties"], rules, cut_on)
    except InvalidParameterError as error:
        raise InvalidParameterError(f"Alert {feature['id']} in {path}: {error}") from error
    return _said(feature, cut_on, evaluation, today)


def _cut_on(feature: Mapping[str, Any], path: Path) -> date:
    """Day of the cut."""
    name = feature["id"]
    try:
        return date.fromisoformat(feature["properties"]["first_low"])
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(
            f"Alert {name} in {path} has no date first_low, which says whose rules count: scan its month again."
        ) from error


def _said(feature: Mapping[str, Any], cut_on: date, evaluation: Evaluation, today: date) -> Said:
    known = {field: value for field, value in read_fields(feature["properties"]).items() if value is not None}
    return Said(feature["id"], cut_on, today, known, evaluation)


def read_collection(path: Path) -> dict[str, Any]:
    """Read published alerts.

    Returns
    -------
    collection
        A GeoJSON FeatureCollection whose features have an identity and properties.

    Raises
    ------
    tiles.errors.StateError
        When the file is absent, damaged or no file of alerts.
    """
    try:
        collection = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StateError(f"{path} cannot be read ({error}): give an alerts.geojson of Sylvigie.") from error
    is_collection = isinstance(collection, dict) and collection.get("type") == "FeatureCollection"
    features = collection.get("features") if is_collection else None
    if not isinstance(features, list) or not all(_is_alert(feature) for feature in features):
        raise StateError(f"{path} is no file of alerts: give an alerts.geojson of Sylvigie.")
    return dict(collection)


def write_collection(collection: Mapping[str, Any], path: Path) -> None:
    """Write alerts as `detector.alerts.write_geojson` does: one a line, whole or not at all.

    Raises
    ------
    tiles.errors.OutputError
        When the disk does not take it; what was there stays.
    """
    head = {key: value for key, value in collection.items() if key != "features"}
    features = collection["features"]
    with written(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write(_dumps(head)[:-1] + ', "features": [')
        for number, feature in enumerate(features):
            file.write(("," if number else "") + "\n" + _dumps(feature))
        file.write("\n]}\n" if features else "]}\n")


def _is_alert(feature: Any) -> bool:
    return (
        isinstance(feature, dict) and isinstance(feature.get("id"), str) and isinstance(feature.get("properties"), dict)
    )


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
