"""Settings: from the environment alone, checked, and silent about what is secret."""

from __future__ import annotations

import os
from pathlib import Path

import pydantic
import pytest

from api.settings import PREFIX, Settings, data_folder, load_settings
from tiles.catalog import ARCHIVES, Credentials
from tiles.errors import InvalidParameterError

SECRETS = {
    "SYLVIGIE_CDSE_S3_KEY": "very-secret-1",
    "SYLVIGIE_CDSE_S3_SECRET": "very-secret-2",
    "SYLVIGIE_CDSE_USERNAME": "very-secret-3",
    "SYLVIGIE_CDSE_PASSWORD": "very-secret-4",
    "SYLVIGIE_PLANETARY_COMPUTER_KEY": "very-secret-5",
}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine that runs the tests, nor a file of them."""
    for name in os.environ:
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def _set(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_without_an_environment_all_is_ready_for_an_open_archive() -> None:
    settings = load_settings()
    assert settings.catalogue in ARCHIVES
    assert settings.credentials() == Credentials()
    assert (settings.forest_mask, settings.threads, settings.false_clouds) == (None, None, False)
    assert settings.least_days_saved == 2


def test_values_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"SYLVIGIE_CATALOGUE": "cdse", "SYLVIGIE_DATA_DIR": "/srv/sylvigie", "SYLVIGIE_THREADS": "3"}
    monkeypatch.setenv("SYLVIGIE_FALSE_CLOUDS", "true")
    monkeypatch.setenv("SYLVIGIE_LEAST_DAYS_SAVED", "1.5")
    _set(monkeypatch, values | {"SYLVIGIE_FOREST_MASK": "/srv/forest.gpkg", "SYLVIGIE_MAX_REQUESTS_PER_HOST": "2"})
    settings = load_settings()
    assert (settings.catalogue, settings.data_dir, settings.threads) == ("cdse", Path("/srv/sylvigie"), 3)
    assert (settings.forest_mask, settings.max_requests_per_host) == (Path("/srv/forest.gpkg"), 2)
    assert settings.false_clouds
    assert settings.least_days_saved == 1.5


def test_an_empty_variable_is_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, {"SYLVIGIE_CATALOGUE": "", "SYLVIGIE_THREADS": "", "SYLVIGIE_CDSE_S3_KEY": ""})
    assert load_settings() == Settings()


def test_a_file_beside_is_not_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SYLVIGIE_CATALOGUE=cdse\n")
    assert load_settings().catalogue != "cdse"


def test_secrets_come_through_and_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, SECRETS)
    settings = load_settings()
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()} {settings.credentials()!r}"
    assert "very-secret" not in shown
    credentials = settings.credentials()
    assert credentials == Credentials(*SECRETS.values())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"SYLVIGIE_THREADS": "0"}, "SYLVIGIE_THREADS will not do: input should be greater than or equal to 1"),
        ({"SYLVIGIE_THREADS": "many"}, "SYLVIGIE_THREADS will not do: input should be a valid integer"),
        ({"SYLVIGIE_MAX_REQUESTS_PER_HOST": "1000"}, "SYLVIGIE_MAX_REQUESTS_PER_HOST will not do"),
        (
            {"SYLVIGIE_CATALOG": "cdse"},
            "SYLVIGIE_CATALOG is no setting of Sylvigie: known are SYLVIGIE_BASEMAP_URL, SYLVIGIE_CATALOGUE",
        ),
        ({"SYLVIGIE_CDSE_S3_KEY": "very-secret"}, "only one of SYLVIGIE_CDSE_S3_KEY and SYLVIGIE_CDSE_S3_SECRET"),
        ({"SYLVIGIE_CDSE_PASSWORD": "very-secret"}, "only one of SYLVIGIE_CDSE_USERNAME and SYLVIGIE_CDSE_PASSWORD"),
        ({"SYLVIGIE_CDSE_S3_KYE": "very-secret"}, "SYLVIGIE_CDSE_S3_KYE is no setting"),
    ],
)
def test_what_will_not_do_is_one_sentence_without_the_secret(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], said: str
) -> None:
    _set(monkeypatch, values)
    with pytest.raises(InvalidParameterError, match=said) as caught:
        load_settings()
    assert "\n" not in str(caught.value)
    assert "very-secret" not in f"{caught.value} {caught.value.__cause__!r}"


def test_settings_do_not_change() -> None:
    with pytest.raises(pydantic.ValidationError):
        load_settings().threads = 4


def test_a_data_directory_at_home_is_the_same_for_all_commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SYLVIGIE_DATA_DIR", "~/forests")
    assert data_folder(None) == tmp_path / "forests"
    assert data_folder(Path("~/other")) == tmp_path / "other"
    assert data_folder(tmp_path / "third") == tmp_path / "third"
