"""What a machine or a service sets once, in its environment: the one place that reads it.

Each setting is a variable ``SYLVIGIE_`` and its name in capitals, such as ``SYLVIGIE_CATALOGUE``. The command's options
win over them. Nothing below the command reads them: it hands the values down.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy import URL

from api.identity.provider import ProviderParams
from api.store.database import database_url
from tiles.catalog import Credentials
from tiles.errors import InvalidParameterError

PREFIX = "SYLVIGIE_"


class Settings(BaseSettings):
    """Settings of Sylvigie.

    Parameters
    ----------
    catalogue
        Where scenes come from; see `tiles.catalog.open_catalogue`. By default Element 84's Collection 1: anybody may
        read it, its files decode twenty times faster than JPEG 2000, and its offset is ESA's throughout (ADR 0010).
    data_dir
        Where the state of each tile, the records and the results of the monthly run are kept.
    cdse_s3_key, cdse_s3_secret
        Key of the Copernicus Data Space's object store.
    cdse_username, cdse_password
        Account of the Copernicus Data Space, where there is no key.
    planetary_computer_key
        Subscription key of Planetary Computer; it does without.
    forest_mask
        What is forest: polygons or a raster.
    rules
        Criteria and legal points of one's own, over those shipped: a TOML file, or a folder of such.
    threads
        Decoding and computing threads; as many as processors by default.
    max_requests_per_host
        Requests under way at once to one server of an archive.
    false_clouds
        Whether small clouds that stay where they were are read as bare ground (ADR 0011).
    least_days_saved
        Days by which a date must make losses known sooner for its bands to be read; 0 reads all (ADR 0020).
    chips
        Whether the monthly run pictures alerts before and after.
    database_url
        The store: ``postgresql://user:password@host/name``; by default SQLite in the data directory.
    public_url
        Address under which the service is reached, where a proxy stands before it: links are made of it.
    personal_days
        Days that the audit log and ended accounts are kept.
    smtp_url
        Server that mail is sent by: ``smtp://user:password@host:port``, which is made safe by STARTTLS except on this
        machine, or ``smtps://``.
    mail_from
        Address that mail comes from.
    webhook_private_hosts
        Whether webhooks may be on this machine and in private networks.
    data_licence
        Of what the service gives out: SPDX identifier or URL. The Licence Ouverte 2.0 by default.
    cors_origins
        Web pages of other addresses that may read, separated by commas; none by default.
    requests_per_minute
        Of one client's address, to one process of the service; 0 is no limit.
    max_body_bytes
        Of a request.
    oidc_issuer
        OpenID provider that people sign in at; none by default.
    oidc_client_id, oidc_client_secret
        By which the provider knows the service.
    oidc_role_claim
        Claim of the provider's tokens that holds a person's groups.
    max_exports_at_once
        Whole exports that one process of the service writes at a time.
    photos
        Where photos of reports are kept: a folder, or ``s3://bucket/prefix`` (``gs://``, ``az://``); by default
        ``photos`` in the data directory.
    max_photo_bytes
        Of a photo, as it comes.
    basemap_url
        WMTS service of the page's base maps (IGN's Géoplateforme by default); `none` does without.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    catalogue: str = "earth-search-c1"
    data_dir: Path = Path("sylvigie-data")
    cdse_s3_key: SecretStr | None = None
    cdse_s3_secret: SecretStr | None = None
    cdse_username: SecretStr | None = None
    cdse_password: SecretStr | None = None
    planetary_computer_key: SecretStr | None = None
    forest_mask: Path | None = None
    rules: Path | None = None
    threads: int | None = Field(default=None, ge=1)
    max_requests_per_host: int = Field(default=8, ge=1, le=256)
    false_clouds: bool = False
    least_days_saved: float = Field(default=2.0, ge=0, le=30)
    chips: bool = True
    database_url: SecretStr | None = None
    public_url: str | None = Field(default=None, pattern=r"^https?://[^\s?#]+$")
    personal_days: int = Field(default=1095, ge=30)
    smtp_url: SecretStr | None = None
    mail_from: str | None = None
    webhook_private_hosts: bool = False
    data_licence: str = "etalab-2.0"
    cors_origins: str = ""
    requests_per_minute: int = Field(default=6000, ge=0)
    max_body_bytes: int = Field(default=1_000_000, ge=1000)
    oidc_issuer: str | None = Field(default=None, pattern=r"^(https://|http://(localhost|127\.0\.0\.1)[:/])[^\s?#]*$")
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_role_claim: str = "groups"
    max_exports_at_once: int = Field(default=2, ge=1, le=20)
    photos: str | None = None
    max_photo_bytes: int = Field(default=25_000_000, ge=10_000, le=200_000_000)
    basemap_url: str = Field(default="https://data.geopf.fr/wmts", pattern=r"^(none|https?://[^\s?#;,']+)$")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - as pydantic-settings calls it
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given by name, then the environment; no file is looked for."""
        return init_settings, env_settings

    @model_validator(mode="after")
    def _whole_pairs(self) -> Self:
        for first, second in (
            ("cdse_s3_key", "cdse_s3_secret"),
            ("cdse_username", "cdse_password"),
        ):
            if (getattr(self, first) is None) != (getattr(self, second) is None):
                raise ValueError(
                    f"only one of {_variable(first)} and {_variable(second)} is given, and they go together"
                )
        return self

    @model_validator(mode="after")
    def _whole_provider(self) -> Self:
        if (self.oidc_issuer is None) != (self.oidc_client_id is None):
            raise ValueError(
                f"only one of {_variable('oidc_issuer')} and {_variable('oidc_client_id')} is given, "
                "and they go together"
            )
        return self

    def provider(self) -> ProviderParams | None:
        """The OpenID provider, where there is one."""
        if self.oidc_issuer is None or self.oidc_client_id is None:
            return None
        return ProviderParams(
            self.oidc_issuer, self.oidc_client_id, _told(self.oidc_client_secret), self.oidc_role_claim
        )

    def basemap_origin(self) -> str | None:
        """Scheme and host of the base maps; None where the page does without."""
        return None if self.basemap_url == "none" else "/".join(self.basemap_url.split("/")[:3])

    def store_url(self) -> URL:
        """Address of the store; see `api.store.database.database_url`."""
        return database_url(_told(self.database_url), self.data_dir)

    def credentials(self) -> Credentials:
        """What opens the archives that ask who reads."""
        return Credentials(
            cdse_s3_key=_told(self.cdse_s3_key),
            cdse_s3_secret=_told(self.cdse_s3_secret),
            cdse_username=_told(self.cdse_username),
            cdse_password=_told(self.cdse_password),
            planetary_computer_key=_told(self.planetary_computer_key),
        )


def load_settings() -> Settings:
    """Settings of the process's environment.

    Raises
    ------
    InvalidParameterError
        When a value will not do, or a name is none of the settings; no value is repeated.
    """
    known = {_variable(name) for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
    if unknown:
        raise InvalidParameterError(f"{unknown[0]} is no setting of Sylvigie: known are {', '.join(sorted(known))}.")
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = _variable(str(first["loc"][0])) if first["loc"] else "The settings"
        reason = first["msg"].removeprefix("Value error, ")
        # Without its cause, which holds the values.
        raise InvalidParameterError(f"{where} will not do: {reason[0].lower()}{reason[1:]}.") from None


def data_folder(asked: Path | None) -> Path:
    """The data directory: that which is asked for, or the setting's; ``~`` is the user's own.

    Raises
    ------
    InvalidParameterError
        As of `load_settings`.
    """
    return (asked or load_settings().data_dir).expanduser()


def set_data_folder(path: Path) -> None:
    """Set the data directory for this process and those that it starts."""
    os.environ[_variable("data_dir")] = str(path)


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def _told(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
