"""Where notices go: addresses that will do, and hosts that may be reached."""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

from tiles.errors import InvalidParameterError

_LONGEST_URL: Final = 2000
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Channel(StrEnum):
    """How a subscription is told."""

    EMAIL = "email"
    WEBHOOK = "webhook"


def checked_address(channel: Channel, address: str, *, private_hosts: bool) -> str:
    """An address as it is kept.

    Parameters
    ----------
    channel
        What the address is for.
    address
        E-mail address, or URL of a webhook.
    private_hosts
        Whether webhooks may be on this machine and in private networks.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When it will not do; it is not repeated, for a webhook's address is a secret.
    """
    return _checked_email(address) if channel is Channel.EMAIL else _checked_url(address, private_hosts)


def _checked_email(address: str) -> str:
    try:
        # Whether its domain takes mail is seen when mail is sent.
        found = validate_email(address, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError:
        raise InvalidParameterError("The e-mail address will not do: give one such as nom@exemple.fr.") from None
    assert found.ascii_email is not None  # as SMTPUTF8 is not allowed
    return found.ascii_email


def _checked_url(address: str, private_hosts: bool) -> str:
    wrong = "The webhook's address will not do: "
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InvalidParameterError(f"{wrong}it is no URL.") from None
    if not host or port == 0 or len(address) > _LONGEST_URL or not address.isascii() or not address.isprintable():
        raise InvalidParameterError(f"{wrong}give a URL such as https://mattermost.exemple.fr/hooks/….")
    if " " in address or "\\" in address:
        raise InvalidParameterError(f"{wrong}it holds a space or a backslash.")
    if parts.username is not None or parts.password is not None:
        raise InvalidParameterError(f"{wrong}it holds a user or a password, which end up in logs.")
    number = ip_of(host)
    loopback = host == "localhost" or (number is not None and number.is_loopback)
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback and private_hosts):
        raise InvalidParameterError(
            f"{wrong}it has to begin with https:// (http:// is for this machine, with SYLVIGIE_WEBHOOK_PRIVATE_HOSTS)."
        )
    if not private_hosts and (loopback or (number is not None and not is_public(number))):
        raise InvalidParameterError(
            f"{wrong}it is in a private network, which SYLVIGIE_WEBHOOK_PRIVATE_HOSTS would have to allow."
        )
    return parts._replace(fragment="").geturl()


def ip_of(host: str) -> IpAddress | None:
    """A host that is a number; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_public(address: IpAddress) -> bool:
    """Whether an address is of the public Internet, also where it stands for another (IPv4 in IPv6, NAT64, 6to4).

    References
    ----------
    IANA special-purpose address registries, as `ipaddress` holds them; RFC 4291 2.5.5, RFC 6052, RFC 3056.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def shown_address(channel: Channel, address: str) -> str:
    """An address as it may be listed: of a webhook the host alone, for its path is what opens it."""
    if channel is Channel.WEBHOOK and address:
        parts = urlsplit(address)
        return f"{parts.scheme}://{parts.netloc}/…"
    return address
