"""The command `sylvigie rules`: criteria and legal points, shown, checked, explained on an alert, applied to all."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scripts.rules_words import Lang
from tiles.errors import InvalidParameterError, RulesError

if TYPE_CHECKING:
    from detector.criteria.kept import EvaluationStore
    from detector.criteria.rules import Rule, Rules

rules_app = typer.Typer(help="Criteria and legal points: what may make a clear-cut abusive.", no_args_is_help=True)

_OwnRules = Annotated[
    Path | None,
    typer.Option("--rules", help="Rules of your own, over those shipped: a TOML file, or a folder of such."),
]
_Alerts = Annotated[Path | None, typer.Option(help="Alerts: an alerts.geojson.")]
_DataDir = Annotated[
    Path | None,
    typer.Option(help="Data directory: states, alerts, records. By default SYLVIGIE_DATA_DIR."),
]
_Language = Annotated[Lang, typer.Option(help="Language, fr or en.")]


@rules_app.command("show")
def show(
    code: Annotated[str | None, typer.Option(help="One rule, such as L124-5 or area.")] = None,
    departement: Annotated[str | None, typer.Option(help="Thresholds of one département, by its INSEE code.")] = None,
    lang: _Language = Lang.FR,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
    own_rules: _OwnRules = None,
) -> None:
    """Show the rules, in plain words, with the article and the source of each."""
    from api.settings import load_settings
    from detector.criteria.loading import load_rules
    from detector.criteria.rules import is_departement
    from scripts.rules_text import show_lines

    if departement is not None and not is_departement(departement):
        raise InvalidParameterError(
            f"{departement} is none of the départements: give the INSEE code, such as 01 or 2A."
        )
    rules = load_rules(own_rules or load_settings().rules)
    chosen = [rule for rule in rules.rules if code in (None, rule.code)]
    if not chosen:
        raise RulesError(f"There is no rule {code}: known are {', '.join(rule.code for rule in rules.rules)}.")
    if as_json:
        print(json.dumps(_as_json(rules, chosen, departement), ensure_ascii=False, indent=2))
        return
    print("\n".join(show_lines(rules, chosen, departement, lang)))


def _as_json(rules: Rules, chosen: Sequence[Rule], departement: str | None) -> dict[str, Any]:
    codes = {rule.code for rule in chosen}
    plain = rules.as_plain()
    return {
        "version": rules.version,
        "rules": [rule for rule in plain["rules"] if rule["code"] in codes],
        "departements": [
            row for row in plain["departements"] if row["rule"] in codes and departement in (None, row["departement"])
        ],
    }


@rules_app.command("check")
def check(own_rules: _OwnRules = None) -> None:
    """Check that all rules can be used, yours over those shipped."""
    from api.settings import load_settings
    from detector.criteria.loading import load_rules
    from detector.criteria.rules import RuleKind

    rules = load_rules(own_rules or load_settings().rules)
    policy, legal = (len(rules.of_kind(kind)) for kind in (RuleKind.POLICY, RuleKind.LEGAL))
    print(
        f"Règles {rules.version} : {policy} critères, {legal} points de droit, "
        f"{len(rules.departements)} seuils de départements ; rien à redire."
    )


@rules_app.command("apply")
def apply(alerts: _Alerts = None, data_dir: _DataDir = None, own_rules: _OwnRules = None) -> None:
    """Evaluate all alerts anew; what other versions of the rules said is kept."""
    from api.settings import load_settings
    from detector.criteria.alert_files import apply_rules
    from detector.criteria.loading import load_rules

    now = dt.datetime.now(dt.UTC)
    rules = load_rules(own_rules or load_settings().rules)
    with _held(alerts, data_dir, now) as (files, store):
        applied = apply_rules(files, rules, store, now.date())
    answers = list(applied.after.values())
    print(
        f"{len(answers)} alertes évaluées selon les règles {applied.version} : {answers.count(True)} potentiellement "
        f"abusives, {answers.count(False)} non, {answers.count(None)} sans réponse ; "
        f"{len(applied.changed)} réponses changent."
    )
    for name in applied.changed:
        print(f"  {name} : {_answer(applied.before[name])} -> {_answer(applied.after[name])}")
    print(f"Ce que disent les règles est gardé dans {store.folder}.")


@rules_app.command("explain")
def explain(
    alert_id: Annotated[str, typer.Argument(metavar="ALERT", help="Identity of the alert.")],
    alerts: _Alerts = None,
    data_dir: _DataDir = None,
    known: Annotated[
        list[str] | None,
        typer.Option("--with", help="What you know besides, such as property_ha=22; as often as needed, not kept."),
    ] = None,
    lang: _Language = Lang.FR,
    own_rules: _OwnRules = None,
) -> None:
    """Explain an alert: each value beside its threshold, with the source, and what was said before."""
    from api.settings import load_settings
    from detector.criteria.alert_files import judge_feature, read_collection
    from detector.criteria.loading import load_rules
    from scripts.rules_text import explain_lines

    rules = load_rules(own_rules or load_settings().rules)
    files, store = _places(alerts, data_dir)
    for path in files:
        for feature in read_collection(path)["features"]:
            if feature["id"] == alert_id:
                feature["properties"] |= _entered(known or [])
                said = judge_feature(feature, rules, dt.datetime.now(dt.UTC).date(), path)
                earlier = [old for old in store.of_alert(alert_id) if old.evaluation.rules_version != rules.version]
                print("\n".join(explain_lines(said, earlier, rules, feature["properties"], lang)))
                return
    raise InvalidParameterError(f"There is no alert {alert_id} in {' or '.join(map(str, files))}: check its identity.")


def _entered(known: Sequence[str]) -> dict[str, Any]:
    """Fields that a person gives on the command line."""
    from detector.criteria.fields import FIELDS, Kind

    values: dict[str, Any] = {}
    for pair in known:
        name, _, text = pair.partition("=")
        field = FIELDS.get(name)
        if field is None:
            raise InvalidParameterError(f"--with {pair}: there is no field {name!r}; known are {', '.join(FIELDS)}.")
        try:
            values[name] = _READERS[field.kind.value](text)
        except (KeyError, ValueError) as error:
            raise InvalidParameterError(
                f"--with {pair}: {name} takes {'yes or no' if field.kind is Kind.YES_NO else 'a number'}."
            ) from error
    return values


_YES_NO: Mapping[str, bool] = {"yes": True, "oui": True, "true": True, "no": False, "non": False, "false": False}
_READERS: Mapping[str, Any] = {
    "number": lambda text: float(text.replace(",", ".")),
    "text": str,
    "yes_no": lambda text: _YES_NO[text.lower()],
}


def _places(alerts: Path | None, data_dir: Path | None) -> tuple[tuple[Path, ...], EvaluationStore]:
    """Files of alerts, and where what is said of them is kept."""
    from api.settings import data_folder
    from detector.criteria.alert_files import newest_alert_files
    from detector.criteria.kept import EVALUATIONS_FOLDER, EvaluationStore
    from detector.track_month import MONTHS_FOLDER

    if alerts is not None:
        if data_dir is not None:
            raise InvalidParameterError("Give --alerts or --data-dir, not both.")
        return (alerts,), EvaluationStore(alerts.parent / EVALUATIONS_FOLDER)
    folder = data_folder(data_dir)
    return newest_alert_files(folder / MONTHS_FOLDER), EvaluationStore(folder / EVALUATIONS_FOLDER)


@contextmanager
def _held(
    alerts: Path | None, data_dir: Path | None, now: dt.datetime
) -> Iterator[tuple[tuple[Path, ...], EvaluationStore]]:
    """As `_places`, with the data directory's lock held while it is written to."""
    from api.settings import data_folder
    from scripts.locks import RUN, locked

    files, store = _places(alerts, data_dir)
    with nullcontext() if alerts is not None else locked(data_folder(data_dir), RUN, now):
        # A run may have published another month before the lock was ours.
        yield _places(alerts, data_dir) if alerts is None else (files, store)


def _answer(answer: bool | None) -> str:
    return {True: "oui", False: "non", None: "sans réponse"}[answer]
