"""Rules from files: what is shipped, what a user lays over it, what is refused and how, and the version."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.criteria.evaluation import evaluate
from detector.criteria.loading import SHIPPED, load_rules
from detector.criteria.rules import Period, RuleKind, is_departement
from tiles.errors import RulesError

ROOT = Path(__file__).parents[2]
RULE = """
[[rule]]
code = "near_water"
kind = "policy"
scope = "national"
unit = "m"
formula = "watercourse_m <= threshold"
title = { fr = "Près de l'eau", en = "Near water" }
explanation = { fr = "La coupe touche un cours d'eau.", en = "The cut touches a watercourse." }
check = { fr = ["Regarder la berge."], en = ["Look at the bank."] }
[[rule.in_force]]
threshold = 10
sources = [{ text = "Charte" }]
"""
ROW = """
[[departement]]
rule = "L124-5"
departement = "33"
name = "Gironde"
[[departement.in_force]]
threshold = 4
sources = [{ text = "Arrêté" }]
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes files of rules into a folder of the test's own, and gives the folder."""

    def written(**files: str) -> Path:
        for name, text in files.items():
            (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
        return tmp_path

    return written


def test_what_is_shipped() -> None:
    rules = load_rules()
    assert [rule.code for rule in rules.of_kind(RuleKind.POLICY)] == ["area", "natura2000", "steep_block"]
    assert [rule.code for rule in rules.of_kind(RuleKind.LEGAL)] == [
        *("L124-5", "L124-6", "L312-1", "L312-9", "L414-4", "R421-23")
    ]
    assert [term.threshold for rule in rules.of_kind(RuleKind.POLICY) for term in rule.terms] == [10, 2, 2]
    shown = {
        (row.rule, row.departement): (row.terms[0].threshold, row.terms[0].massif_threshold)
        for row in rules.departements
    }
    assert shown == {
        ("L124-5", "73"): (1, None),
        ("L124-5", "74"): (1, None),
        ("L124-5", "76"): (4, None),
        ("L124-5", "84"): (4, None),
        ("L124-6", "21"): (2, 10),
        ("L124-6", "41"): (1, 4),
        ("L124-6", "76"): (1, 4),
    }  # fmt: skip


def test_every_rule_names_its_text_and_natura_2000_its_decision() -> None:
    rules = load_rules()
    for rule in rules.of_kind(RuleKind.LEGAL):
        assert rule.code in str(rule.reference)
        assert any(rule.code in str(source.article) for term in rule.terms for source in term.sources)
        assert all(source.url for term in rule.terms for source in term.sources)
    natura = next(rule for rule in rules.rules if rule.code == "L414-4")
    assert any("462924" in source.text and source.date == date(2024, 2, 5) for source in natura.terms[0].sources)
    assert "462924" in natura.explanation.fr
    assert "462924" in natura.explanation.en


def test_a_threshold_of_unknown_order_says_so() -> None:
    undated = [row for row in load_rules().departements if row.terms[0].period.first is None]
    assert {row.departement for row in undated} == {"41", "76"}
    assert all(row.terms[0].sources[0].date is None for row in undated)


def test_no_text_says_illegal() -> None:
    """Policy is not law: neither rules nor code nor pages pronounce a verdict."""
    files = [
        *SHIPPED.glob("*.toml"),
        *SHIPPED.glob("*.py"),
        *(ROOT / "scripts").glob("rules_*.py"),
        ROOT / "docs" / "criteria.md",
        ROOT / "docs" / "adr" / "0014-rules-as-data.md",
    ]
    texts = {path.name: path.read_text(encoding="utf-8") for path in files}
    assert len(texts) > 12
    assert [name for name, text in texts.items() if re.search("ill[eéÉ]gal", text, re.IGNORECASE)] == []


def test_a_users_threshold_takes_the_place_of_a_shipped_one(write: Write) -> None:
    own = write(
        policy="""
        [[rule]]
        code = "area"
        [[rule.in_force]]
        threshold = 5
        sources = [{ text = "Charte" }]
        """
    )
    rules = load_rules(own)
    said = evaluate({"area_ha": 6.0}, rules, date(2026, 9, 1)).criteria[0]
    assert (said["threshold"], said["met"], said["source"]) == (5.0, True, "Charte")
    assert rules.rules[0].title == load_rules().rules[0].title
    assert load_rules(own / "policy.toml").version == rules.version
    assert rules.version.startswith("2026.1-local-")


def test_a_users_rule_and_departement_come_beside_the_shipped_ones(write: Write) -> None:
    rules = load_rules(write(a=RULE, b=f'version = "asso"\n{ROW}'))
    assert [rule.code for rule in rules.of_kind(RuleKind.POLICY)] == ["area", "natura2000", "near_water", "steep_block"]
    evaluation = evaluate({"departement": "33", "area_ha": 5, "watercourse_m": 3}, rules, date(2026, 9, 1))
    assert evaluation.criteria[2]["met"] is True
    assert evaluation.legal_points[0]["status"] == "to_check"
    assert rules.version.startswith("2026.1-asso-")


def test_a_rule_can_be_left_out(write: Write) -> None:
    rules = load_rules(write(a='[[rule]]\ncode = "area"\nenabled = false\n[[rule]]\ncode = "L124-6"\nenabled = false'))
    assert {"area", "L124-6"}.isdisjoint(rule.code for rule in rules.rules)
    assert {row.rule for row in rules.departements} == {"L124-5"}


@pytest.mark.parametrize(
    ("old", "new", "because"),
    [
        ("watercourse_m <= threshold", "river_m <= threshold", "'river_m', which there is not"),
        ("watercourse_m <= threshold", "watercourse_m <= 10", "no field beside the threshold"),
        ("watercourse_m <= threshold", "watercourse_m <=", "ends too early"),
        ('unit = "m"', 'unit = "ha"', "the unit ha, but its field watercourse_m is in m"),
        ('unit = "m"', 'unit = "acre"', "unit 'acre', which is none of ha, m, %"),
        ('unit = "m"', "", "has no unit"),
        ('sources = [{ text = "Charte" }]', "", "has no source"),
        ('{ text = "Charte" }', '{ url = "https://a.example" }', "has no text"),
        ('{ text = "Charte" }', '{ text = "Charte", url = "a.example" }', "none of the web"),
        ("threshold = 10", "", "has no threshold"),
        ("threshold = 10", "threshold = -1", "zero or more"),
        ("threshold = 10", "threshold = nan", "zero or more"),
        ("threshold = 10", "threshold = true", "zero or more"),
        ("threshold = 10", 'threshold = 10\nfrom = "2023"', "a date such as"),
        ("threshold = 10", "threshold = 10\nfrom = 2023-07-12T00:00:00", "a date such as"),
        ("threshold = 10", "threshold = 10\nfrom = 2023-07-12\nto = 2023-07-11", "ends before it begins"),
        ("threshold = 10", "threshold = 10\nsince = 2023-07-12", "'since', which means nothing"),
        ('kind = "policy"', 'kind = "law"', "none of policy, legal"),
        ('kind = "policy"', 'kind = "legal"', "has no reference"),
        ('scope = "national"', 'scope = "departement"', "is a policy"),
        ('scope = "national"', 'scope = "national"\nruled_out_by = "has_psg"', "is a policy"),
        ('en = "Near water"', 'en = ""', "not empty"),
        (', en = "Near water"', "", "has no en"),
        ('fr = ["Regarder la berge."]', "fr = []", "what is to be checked"),
        ('fr = ["Regarder la berge."]', 'fr = ["A", "B"]', "as many of either"),
        ('kind = "policy"', 'kind = "policy"\nwritten_by = "me"', "'written_by', which means nothing"),
        ('kind = "policy"', 'kind = "policy"\nenabled = "no"', "true or false"),
    ],
)
def test_a_rule_that_will_not_do_is_refused_in_a_sentence_with_its_file_and_code(
    write: Write, old: str, new: str, because: str
) -> None:
    assert old in RULE
    with pytest.raises(RulesError) as caught:
        load_rules(write(mine=RULE.replace(old, new)))
    sentence = str(caught.value)
    assert because in sentence
    assert "mine.toml" in sentence
    assert "near_water" in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("old", "new", "because"),
    [
        ('"33"', '"20"', "none of the départements"),
        ('"33"', '"1"', "none of the départements"),
        ('"L124-5"', '"L312-1"', "no thresholds of départements"),
        ('"L124-5"', '"L999-9"', "no thresholds of départements"),
        ("threshold = 4", "", "has no threshold"),
        ('sources = [{ text = "Arrêté" }]', "", "has no source"),
        (
            "threshold = 4",
            'threshold = 4\nformula = "elevation_m >= threshold"',
            "the unit ha, but its field elevation_m",
        ),
    ],
)
def test_a_departement_that_will_not_do_is_refused(write: Write, old: str, new: str, because: str) -> None:
    assert old in ROW
    with pytest.raises(RulesError, match=r"mine\.toml.*département") as caught:
        load_rules(write(mine=ROW.replace(old, new)))
    assert because in str(caught.value)


def test_the_same_code_twice_is_refused(write: Write) -> None:
    with pytest.raises(RulesError, match=r"b\.toml: rule near_water is there twice, here and in a\.toml"):
        load_rules(write(a=RULE, b=RULE))
    with pytest.raises(RulesError, match="L124-5 of département 33 is there twice"):
        load_rules(write(a=ROW + ROW, b=""))


def test_periods_that_overlap_are_refused(write: Write) -> None:
    second = '[[rule.in_force]]\nthreshold = 20\nfrom = 2023-01-01\nsources = [{ text = "Charte" }]\n'
    with pytest.raises(RulesError, match=r"near_water has two periods that overlap, \.\.\. to \.\.\. and 2023-01-01"):
        load_rules(write(mine=RULE + second))
    parted = RULE.replace("threshold = 10", "threshold = 10\nto = 2022-12-31") + second
    rule = next(rule for rule in load_rules(write(mine=parted)).rules if rule.code == "near_water")
    assert [term.threshold for term in rule.terms] == [10, 20]


def test_a_rule_of_the_country_needs_its_thresholds_in_the_departements(write: Write) -> None:
    text = '[[rule]]\ncode = "L124-5"\n[[rule.in_force]]\nthreshold = 4\nsources = [{ text = "Loi" }]\n'
    with pytest.raises(RulesError, match="each département has its own"):
        load_rules(write(mine=text))


@pytest.mark.parametrize("text", ["[[rule]", "rule = 3", 'version = "a b"', "[[rules]]", "[[rule]]\nkind = 'policy'"])
def test_a_file_that_is_no_file_of_rules_is_refused(write: Write, text: str) -> None:
    with pytest.raises(RulesError, match=r"mine\.toml"):
        load_rules(write(mine=text))


def test_rules_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match="holds no file of rules"):
        load_rules(tmp_path)
    with pytest.raises(RulesError, match="cannot be read"):
        load_rules(tmp_path / "absent.toml")


def test_the_version_changes_with_the_content_and_with_nothing_else(write: Write) -> None:
    version = load_rules(write(mine=RULE)).version
    assert load_rules(write(mine="# a remark\n" + RULE.replace('unit = "m"', 'unit   =   "m"'))).version == version
    for old, new in [
        ("threshold = 10", "threshold = 11"),
        ("threshold = 10", "threshold = 10\nfrom = 2023-01-01"),
        ("Look at the bank.", "Look at both banks."),
        ("<=", "<"),
        ("near_water", "near_river"),
        ("Charte", "Charte de 2026"),
    ]:
        assert load_rules(write(mine=RULE.replace(old, new))).version != version


def test_the_version_can_be_the_name_of_a_file() -> None:
    assert re.fullmatch(r"[A-Za-z0-9._-]+-[0-9a-f]{8}", load_rules().version)


def test_every_file_of_rules_is_shipped_with_the_package() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        setuptools = tomllib.load(file)["tool"]["setuptools"]
    assert "detector.criteria" in setuptools["packages"]
    assert setuptools["package-data"]["detector.criteria"] == ["*.toml"]
    assert {path.name for path in SHIPPED.glob("*.toml")} == {"policy.toml", "legal.toml", "departements.toml"}


def test_the_shipped_files_laid_over_themselves_change_nothing(tmp_path: Path) -> None:
    for path in SHIPPED.glob("*.toml"):
        shutil.copy(path, tmp_path)
    shipped, over = load_rules(), load_rules(tmp_path)
    assert (over.rules, over.departements) == (shipped.rules, shipped.departements)


_DAYS = st.none() | st.dates(date(2000, 1, 1), date(2000, 2, 1))


@given(_DAYS, _DAYS, _DAYS, _DAYS, st.dates(date(1999, 12, 1), date(2000, 3, 1)))
def test_periods_overlap_where_a_day_lies_in_both(
    a: date | None, b: date | None, c: date | None, d: date | None, day: date
) -> None:
    one, other = Period(a, b), Period(c, d)
    assert one.overlaps(other) == other.overlaps(one)
    if one.holds(day) and other.holds(day):
        assert one.overlaps(other)


def test_codes_of_departements() -> None:
    codes = [f"{number:02}" for number in range(1, 96) if number != 20] + [
        "2A",
        "2B",
        "971",
        "972",
        "973",
        "974",
        "976",
    ]
    assert len(codes) == 101
    assert all(is_departement(code) for code in codes)
    assert not any(is_departement(code) for code in ("20", "00", "96", "1", "2C", "975", "33 ", "977"))
