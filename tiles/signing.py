"""Archives that want to know who reads: signed addresses, bearer tokens, S3 keys.

Each way is an `tiles.access.Access` of plain values, so that it can be sent to another process, which then asks
for tokens of its own. What is secret is in no ``repr``, in no option of GDAL's and in no error: GDAL is given the
path of a file that only the user of this process may read.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from tiles.access import OpenAccess
from tiles.errors import AccessError
from tiles.http import HttpParams, open_session
from tiles.placing import put_file

PLANETARY_COMPUTER_TOKENS = "https://planetarycomputer.microsoft.com/api/sas/v1/token"
"""Where Planetary Computer gives signatures: ``/{account}/{container}`` (its SAS API)."""

CDSE_S3_ENDPOINT = "https://eodata.dataspace.copernicus.eu"
"""Object store of the Copernicus Data Space (its documentation, "Access to EO data via S3")."""

CDSE_TOKENS = "https://identity.dataspace.copernicus.eu/auth/realms/CDSE/protocol/openid-connect/token"
"""Where the Copernicus Data Space gives bearer tokens (its documentation, "Access token")."""

_CDSE_CLIENT = "cdse-public"
"""Client under which the Copernicus Data Space lets anybody with an account ask for a token."""

_BLOB_HOST = ".blob.core.windows.net"

_RENEW_BEFORE = dt.timedelta(minutes=5)
"""A token is renewed so long before it expires, or after half its life if that is shorter: a read takes its time."""

_VIRTUAL_FILE_SYSTEMS = {
    "s3": "/vsis3/",
    "gs": "/vsigs/",
    "http": "/vsicurl/http://",
    "https": "/vsicurl/https://",
}
"""What GDAL writes in place of a scheme and its colon and slashes."""


def gdal_path(href: str) -> str:
    """What GDAL calls a catalogue's href: ``s3://b/k`` is ``/vsis3/b/k``, a path stays what it is."""
    scheme, found, rest = href.partition("://")
    return _VIRTUAL_FILE_SYSTEMS.get(scheme.lower(), f"{scheme}://") + rest if found else href


@dataclass(frozen=True)
class WebAccess(OpenAccess):
    """Files anywhere, opened as anybody, or by the keys that GDAL finds by itself (``AWS_ACCESS_KEY_ID``...)."""

    def address(self, href: str) -> str:
        """The href as GDAL writes it."""
        return gdal_path(href)


class _ByValue:
    """Sent to another process by what it was made of; what it has learnt since stays behind."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return type(self), tuple(getattr(self, given.name) for given in fields(self) if given.init)  # type: ignore[arg-type]


@dataclass(frozen=True)
class PlanetaryComputerAccess(_ByValue):
    """Planetary Computer: each address carries a signature (SAS) of its container, which lasts about an hour.

    Parameters
    ----------
    tokens_url
        Where signatures are given.
    subscription_key
        Raises the number of signatures that may be asked for; none is needed.
    http
        How they are asked for.
    """

    tokens_url: str = PLANETARY_COMPUTER_TOKENS
    subscription_key: str | None = field(default=None, repr=False)
    http: HttpParams = field(default_factory=HttpParams)
    _tokens: _Tokens = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tokens", _Tokens(self._ask))

    @property
    def gdal_options(self) -> Mapping[str, str]:
        """None are needed."""
        return {}

    def address(self, href: str) -> str:
        """The href, signed where it is on Azure's blob store.

        Raises
        ------
        AccessError
            When no signature is to be had.
        """
        container = _container(href)
        if container is None:
            return gdal_path(href)
        return f"{gdal_path(href)}?{self._tokens.get(container)}"

    def renew(self, href: str) -> None:
        """Forget the signature of an href's container."""
        container = _container(href)
        if container is not None:
            self._tokens.forget(container)

    def _ask(self, container: str) -> _Token:
        headers = {"Ocp-Apim-Subscription-Key": self.subscription_key} if self.subscription_key else {}
        answer = _json(self.http, "GET", f"{self.tokens_url.rstrip('/')}/{container}", headers=headers)
        try:
            return _Token(str(answer["token"]), _moment(answer["msft:expiry"]))
        except (KeyError, ValueError, TypeError) as error:
            raise _no_token(self.tokens_url) from error


@dataclass(frozen=True)
class S3Access(_ByValue):
    """An S3 store that asks for a key, such as that of the Copernicus Data Space.

    Parameters
    ----------
    key, secret
        The pair that the store gave.
    endpoint
        Its address.
    """

    key: str = field(repr=False)
    secret: str = field(repr=False)
    endpoint: str = CDSE_S3_ENDPOINT
    _file: _PrivateFile = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_file", _PrivateFile("credentials"))

    @property
    def gdal_options(self) -> Mapping[str, str]:
        """The store, and the file that holds the key."""
        endpoint = urlsplit(self.endpoint)
        text = f"[default]\naws_access_key_id = {self.key}\naws_secret_access_key = {self.secret}\n"
        return {
            "AWS_S3_ENDPOINT": endpoint.netloc + endpoint.path.rstrip("/"),
            "AWS_HTTPS": "NO" if endpoint.scheme == "http" else "YES",
            # Its buckets are paths, not hosts.
            "AWS_VIRTUAL_HOSTING": "FALSE",
            "AWS_REGION": "default",
            "AWS_PROFILE": "default",
            "AWS_NO_SIGN_REQUEST": "NO",
            "CPL_AWS_CREDENTIALS_FILE": str(self._file.holding(text)),
        }

    def address(self, href: str) -> str:
        """The href as GDAL writes it."""
        return gdal_path(href)

    def renew(self, href: str) -> None:
        """A key does not expire from one read to the next: nothing to renew."""


@dataclass(frozen=True)
class CdseHttpsAccess(_ByValue):
    """The Copernicus Data Space over HTTPS: each request carries a bearer token, which lasts ten minutes.

    The token is in a file that GDAL reads anew before each request, so that datasets that are open already carry
    the newest too.

    Parameters
    ----------
    username, password
        Of an account without a second factor.
    tokens_url
        Where tokens are given (OAuth 2, resource owner's password).
    http
        How they are asked for.
    """

    username: str = field(repr=False)
    password: str = field(repr=False)
    tokens_url: str = CDSE_TOKENS
    http: HttpParams = field(default_factory=HttpParams)
    _tokens: _Tokens = field(init=False, repr=False, compare=False)
    _file: _PrivateFile = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tokens", _Tokens(self._ask))
        object.__setattr__(self, "_file", _PrivateFile("headers"))

    @property
    def gdal_options(self) -> Mapping[str, str]:
        """The file of the header, and the ending of an OData address (``.../Nodes(x.jp2)/$value``)."""
        return {
            "GDAL_HTTP_HEADER_FILE": str(self._file.path),
            "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".jp2,.tif,.tiff,$value",
        }

    def address(self, href: str) -> str:
        """The href as GDAL writes it; the token is made ready.

        Raises
        ------
        AccessError
            When no token is to be had.
        """
        self._file.holding(f"Authorization: Bearer {self._tokens.get('')}\n")
        return gdal_path(href)

    def renew(self, href: str) -> None:  # noqa: ARG002 - one token opens all
        """Forget the token."""
        self._tokens.forget("")

    def _ask(self, _: str) -> _Token:
        form = {
            "grant_type": "password",
            "client_id": _CDSE_CLIENT,
            "username": self.username,
            "password": self.password,
        }
        answer = _json(self.http, "POST", self.tokens_url, data=form)
        try:
            life = dt.timedelta(seconds=float(answer["expires_in"]))
            return _Token(str(answer["access_token"]), dt.datetime.now(dt.UTC) + life)
        except (KeyError, ValueError, TypeError) as error:
            raise _no_token(self.tokens_url) from error


@dataclass(frozen=True)
class _Token:
    value: str = field(repr=False)
    expires: dt.datetime


class _Tokens:
    """Tokens by name, asked for when they are wanted, and again before they expire. Safe to use from many threads."""

    def __init__(self, ask: Callable[[str], _Token]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[str, dt.datetime]] = {}

    def get(self, name: str) -> str:
        # One thread asks, the others wait for what it gets.
        with self._lock:
            value, renewed_at = self._kept.get(name, ("", dt.datetime.min.replace(tzinfo=dt.UTC)))
            now = dt.datetime.now(dt.UTC)
            if now >= renewed_at:
                token = self._ask(name)
                value = token.value
                self._kept[name] = value, token.expires - min(_RENEW_BEFORE, (token.expires - now) / 2)
            return value

    def forget(self, name: str) -> None:
        with self._lock:
            self._kept.pop(name, None)


class _PrivateFile:
    """A small file for GDAL that none but this user reads, and that goes with the process."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._text: str | None = None

    @property
    def path(self) -> Path:
        with self._lock:
            return self._made() / self._name

    def holding(self, text: str) -> Path:
        """Its path, once it holds `text`; whoever reads it meanwhile sees the old text or the new."""
        with self._lock:
            path = self._made() / self._name
            if text != self._text:
                handle, beside = tempfile.mkstemp(dir=path.parent)  # mode 0600
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                put_file(Path(beside), path)
                self._text = text
            return path

    def _made(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="sylvigie-"))  # mode 0700
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder


def _container(href: str) -> str | None:
    """``account/container`` of an address on Azure's blob store; None elsewhere, and where it is signed already."""
    parts = urlsplit(href)
    host = parts.hostname or ""
    container = parts.path.strip("/").partition("/")[0]
    if not host.endswith(_BLOB_HOST) or not container or "sig=" in parts.query:
        return None
    return f"{host.removesuffix(_BLOB_HOST)}/{container}"


def _json(params: HttpParams, method: str, url: str, **more: Any) -> Mapping[str, Any]:
    """The object that a token service answers.

    No cause is kept with the error: a request's exception holds the request, and that the password.
    """
    said = ""
    try:
        with open_session(params) as session:
            response = session.request(method, url, timeout=params.timeout_s, **more)
        if response.ok:
            with suppress(ValueError):
                answer = response.json()
                if isinstance(answer, dict):
                    return answer
            raise _no_token(url)
        said = f"HTTP {response.status_code}"
    except requests.RequestException as error:
        said = type(error).__name__
    if said in ("HTTP 400", "HTTP 401", "HTTP 403"):
        raise AccessError(f"{_host(url)} refuses the credentials ({said}): check them in the settings.")
    raise AccessError(f"{_host(url)} gives no token to open the archive's files ({said}): try again later.")


def _no_token(url: str) -> AccessError:
    return AccessError(f"{_host(url)} answers with something else than a token: check the address, or try again later.")


def _host(url: str) -> str:
    return urlsplit(url).netloc or url


def _moment(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
