"""The command `sylvigie rules`: what people read, in French first, and the page made from the rules."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from detector.alerts import write_geojson
from detector.criteria.alert_files import read_collection, write_collection
from detector.criteria.loading import load_rules
from scripts.cli import app
from scripts.exit_codes import ExitCode, exit_code_of
from scripts.locks import RUN, locked
from scripts.rules_page import page
from scripts.rules_words import WORDS, Lang, amount
from tests.detector.tracked import box, patch
from tiles.errors import InvalidParameterError, LockedError, RulesError, SylvigieError

ROOT = Path(__file__).parents[2]
VERSION = load_rules().version
OWN = '[[rule]]\ncode = "area"\n[[rule.in_force]]\nthreshold = 5\nsources = [{ text = "Charte locale" }]\n'
LARGE = "SYL-31TDL-large"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory with a month of two alerts: 6 ha, and 16 ha in Seine-Maritime."""
    path = tmp_path / "data" / "months" / "2026-10" / "alerts.geojson"
    write_geojson([patch(box(0, 0, 25, 25), name="middle").alert, patch(box(50, 0, 40, 40), name="large").alert], path)
    collection = read_collection(path)
    for feature in collection["features"]:
        known = {"cause": "harvest", "natura2000_ha": 0.0, "slope_block_ha": 0.0, "departement": "76"}
        reason = {"code": "infrared_lost", "fr": "l'eau a disparu", "en": "water was lost", "unit": "1"}
        reasons = [reason | {"value": 0.27, "threshold": 0.2}, reason | {"value": None, "threshold": None}]
        feature["properties"] |= known | {"cause_reasons": reasons}
    write_collection(collection, path)
    return tmp_path / "data"


def rules(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["rules", *map(str, arguments)])


def lines(*arguments: object) -> list[str]:
    result = rules(*arguments)
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_show_speaks_french_first() -> None:
    shown = "\n".join(lines("show"))
    assert f"Règles {VERSION}" in shown
    assert "Atteint si : surface de la coupe ≥ 10 ha" in shown
    assert "[Code forestier, article L124-5]" in shown
    assert "Côte-d'Or (21) : surface de la coupe ≥ 2 ha, massif de plus de 10 ha (depuis le 30/10/2008)" in shown
    assert "Ailleurs : seuil inconnu, jamais zéro." in shown
    assert "n° 462924" in shown


def test_show_one_rule_of_one_departement_in_english() -> None:
    shown = lines("show", "--code", "L124-5", "--departement", "76", "--lang", "en")
    assert "  - Seine-Maritime (76): area of the cut ≥ 4 ha (undated)" in shown
    assert not any("Vaucluse" in line or "L124-6" in line for line in shown)
    assert "  33 : seuil inconnu" in lines("show", "--code", "L124-5", "--departement", "33")


def test_show_as_json() -> None:
    shown = json.loads("\n".join(lines("show", "--json", "--departement", "84")))
    assert shown["version"] == VERSION
    assert [row["departement"] for row in shown["departements"]] == ["84"]
    assert {rule["code"] for rule in shown["rules"]} >= {"area", "L312-1"}
    one = json.loads("\n".join(lines("show", "--json", "--code", "L312-1")))
    assert [(term["threshold"], term["from"]) for term in one["rules"][0]["in_force"]] == [
        (25, "2012-07-01"),
        (20, "2023-07-12"),
    ]
    assert one["departements"] == []


@pytest.mark.parametrize(
    ("arguments", "error", "because"),
    [
        (["show", "--code", "area2"], RulesError, "There is no rule area2"),
        (["show", "--departement", "99"], InvalidParameterError, "none of the départements"),
        (["check", "--rules", "absent.toml"], RulesError, "cannot be read"),
        (["apply", "--alerts", "absent.geojson"], SylvigieError, "cannot be read"),
        (["apply", "--alerts", "a", "--data-dir", "b"], InvalidParameterError, "not both"),
        (["apply", "--data-dir", "absent"], SylvigieError, "There are no alerts"),
    ],
)
def test_what_will_not_do_is_one_sentence(
    arguments: list[str], error: type[SylvigieError], because: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raised = rules(*arguments).exception
    assert isinstance(raised, error)
    assert because in str(raised)
    assert exit_code_of(raised) is ExitCode.INPUT
    assert list(tmp_path.iterdir()) == []


def test_check_counts_what_there_is(tmp_path: Path) -> None:
    assert lines("check") == [
        f"Règles {VERSION} : 3 critères, 6 points de droit, 7 seuils de départements ; rien à redire."
    ]
    (tmp_path / "own.toml").write_text(OWN, encoding="utf-8")
    assert "-local-" in lines("check", "--rules", tmp_path)[0]


def test_apply_and_explain_over_a_data_directory(data_dir: Path, tmp_path: Path) -> None:
    assert lines("apply", "--data-dir", data_dir)[0] == (
        f"2 alertes évaluées selon les règles {VERSION} : 1 potentiellement abusives, 1 non, 0 sans réponse ; "
        "2 réponses changent."
    )
    own = tmp_path / "own.toml"
    own.write_text(OWN, encoding="utf-8")
    said = lines("apply", "--data-dir", data_dir, "--rules", own)
    assert "  SYL-31TDL-middle : non -> oui" in said
    assert {path.suffix for path in (data_dir / "evaluations").iterdir()} == {".json", ".parquet"}
    told = lines("explain", "SYL-31TDL-middle", "--data-dir", data_dir, "--rules", own)
    assert "Potentiellement abusive : oui (récolte confirmée, et critère atteint)" in told
    assert "  area  Grande coupe : ATTEINT" in told
    assert "      Source : Charte locale" in told
    assert any(line.startswith(f"  {VERSION} (dit le ") and line.endswith("abusive : non") for line in told)
    assert any(line.strip().startswith("area : non atteint, 6,2") and line.endswith("seuil : 10 ha") for line in told)


def test_explain_names_article_threshold_and_what_to_check(data_dir: Path) -> None:
    told = "\n".join(lines("explain", LARGE, "--data-dir", data_dir))
    assert "L124-5  Coupe qui demande l'autorisation du préfet : À VÉRIFIER  [Code forestier, article L124-5]" in told
    assert "seuil : 4 ha (condition remplie)" in told
    assert "À la DDT(M) : une autorisation de coupe a-t-elle été demandée, et donnée ?" in told
    assert "  - l'eau a disparu (0,27, seuil : 0,2)" in told
    assert "  - l'eau a disparu\n" in told
    assert "L312-1  Plan simple de gestion obligatoire : INCONNU" in told
    assert "il manque : surface de la propriété forestière" in told
    assert told.endswith("rien")


def test_explain_takes_what_a_person_knows_and_keeps_nothing(data_dir: Path) -> None:
    before = {path: path.read_bytes() for path in data_dir.rglob("*") if path.is_file()}
    told = "\n".join(
        lines(
            "explain",
            LARGE,
            "--data-dir",
            data_dir,
            "--lang",
            "en",
            "--with",
            "property_ha=26,5",
            "--with",
            "has_psg=oui",
        )
    )
    assert "L312-1  Simple management plan (PSG) required: TO CHECK" in told
    assert "26.5 ha, threshold: 25 ha (condition met)" in told
    assert "(ruled out by what is known)" in told
    assert {path: path.read_bytes() for path in data_dir.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("known", ["size=3", "property_ha=large", "has_psg=maybe", "property_ha"])
def test_what_a_person_gives_is_checked(data_dir: Path, known: str) -> None:
    raised = rules("explain", LARGE, "--data-dir", data_dir, "--with", known).exception
    assert isinstance(raised, InvalidParameterError)
    assert known in str(raised)


def test_an_alert_that_is_not_there(data_dir: Path) -> None:
    raised = rules("explain", "SYL-nobody", "--data-dir", data_dir).exception
    assert isinstance(raised, InvalidParameterError)
    assert "There is no alert SYL-nobody" in str(raised)


def test_apply_waits_for_no_run_that_is_under_way(data_dir: Path) -> None:
    with locked(data_dir, RUN, dt.datetime(2026, 11, 23, tzinfo=dt.UTC)):
        assert isinstance(rules("apply", "--data-dir", data_dir).exception, LockedError)
    assert not (data_dir / "evaluations").exists()


def test_the_page_of_criteria_is_what_the_rules_say() -> None:
    written = (ROOT / "docs" / "criteria.md").read_text(encoding="utf-8")
    assert written == page(load_rules()), "run: python -m scripts.rules_page > docs/criteria.md"


def test_the_example_of_the_page_can_be_used(tmp_path: Path) -> None:
    (example,) = page(load_rules()).split("```toml\n")[1:]
    (tmp_path / "own.toml").write_text(example.split("```")[0], encoding="utf-8")
    own = load_rules(tmp_path)
    assert own.rules[0].terms[0].threshold == 5
    assert own.row("L124-5", "33") is not None


def test_every_word_is_there_in_both_languages() -> None:
    assert all(fr and en for fr, en in WORDS.values())
    assert all(fr.count("{") == en.count("{") for fr, en in WORDS.values())


@pytest.mark.parametrize(
    ("value", "lang", "written"),
    [(6.25, Lang.FR, "6,25 ha"), (6.0, Lang.EN, "6 ha"), (None, Lang.FR, "inconnu"), (0.0, Lang.EN, "0 ha")],
)
def test_amounts(value: float | None, lang: Lang, written: str) -> None:
    assert amount(value, "ha", lang) == written
