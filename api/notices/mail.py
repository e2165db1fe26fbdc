"""Notices by mail: SMTP, never in the clear beyond this machine.

References
----------
RFC 5321 (SMTP), RFC 3207 (STARTTLS), RFC 8314 (TLS from the first byte), RFC 2369 and RFC 8058 (List-Unsubscribe and
its one click), RFC 3834 (Auto-Submitted).
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final
from urllib.parse import unquote, urlsplit

from email_validator import EmailNotValidError, validate_email

from api.notices.addresses import ip_of
from api.notices.channels import TAKEN, Answer, Attempt, Letter
from tiles.errors import InvalidParameterError

_TIMEOUT_S: Final = 30.0
"""Of each step of the conversation."""
_ENHANCED = re.compile(rb"\b[245]\.\d{1,3}\.\d{1,3}\b")
# A long link in a header stays in one piece: folded, it would be encoded, and mail clients do not decode it there.
_POLICY: Final = SMTP.clone(max_line_length=900)


@dataclass(frozen=True)
class MailServer:
    """A server that mail is sent by.

    Parameters
    ----------
    host, port
        Where it listens.
    tls
        Whether TLS is spoken from the first byte; else by STARTTLS, except on this machine.
    user, password
        Of the account; None where there is none.
    """

    host: str
    port: int
    tls: bool
    user: str | None = None
    password: str | None = None

    @property
    def is_here(self) -> bool:
        """Whether it is this machine."""
        number = ip_of(self.host)
        return self.host == "localhost" or (number is not None and number.is_loopback)

    @classmethod
    def of_url(cls, url: str) -> MailServer:
        """The server of ``smtp://user:password@host:port`` or ``smtps://``; names may be percent-encoded.

        Raises
        ------
        tiles.errors.InvalidParameterError
            When it will not do; it is not repeated, for it may hold a password.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        whole = host is not None and parts.scheme in ("smtp", "smtps") and not parts.query and parts.path in ("", "/")
        if host is None or not whole or (parts.username is None) != (parts.password is None):
            raise InvalidParameterError(
                "SYLVIGIE_SMTP_URL will not do: give smtp://user:password@host:port or smtps://user:password@host."
            )
        tls = parts.scheme == "smtps"
        user, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
        return cls(host, port or (465 if tls else 587), tls, user, password)


class MailSender:
    """Sends notices by mail.

    Parameters
    ----------
    server
        That takes them.
    sender
        Address that they come from.
    tls
        Whom to trust; the system's authorities by default.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When the sender's address will not do.
    """

    def __init__(self, server: MailServer, sender: str, tls: ssl.SSLContext | None = None) -> None:
        try:
            found = validate_email(sender, check_deliverability=False, allow_smtputf8=False)
        except EmailNotValidError:
            raise InvalidParameterError("SYLVIGIE_MAIL_FROM will not do: give an address alone.") from None
        self._server, self._tls = server, tls or ssl.create_default_context()
        self.sender = found.ascii_email or sender

    def send(self, letter: Letter) -> Attempt:
        """Send a notice once."""
        return self.send_message(message_of(letter, self.sender), letter.address)

    def send_message(self, message: EmailMessage, address: str) -> Attempt:
        """Send a message once."""
        try:
            connection = self._connected()
        except (smtplib.SMTPException, OSError) as error:
            return Attempt(Answer.LATER, f"the mail server cannot be used ({_reason(error)})", channel_down=True)
        try:
            connection.send_message(message, self.sender, [address])
        except smtplib.SMTPSenderRefused as error:
            # Of ourselves, not of who it is for.
            return Attempt(Answer.LATER, f"the sender was refused ({_reason(error)})", channel_down=True)
        except smtplib.SMTPRecipientsRefused as error:
            ((code, said),) = error.recipients.values()
            return _answered(code, said)
        except smtplib.SMTPResponseException as error:
            return _answered(error.smtp_code, error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            return Attempt(Answer.LATER, f"the connection ended ({_reason(error)})")
        finally:
            # What was taken was taken, however the conversation ends.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                connection.quit()
            connection.close()
        return TAKEN

    def _connected(self) -> smtplib.SMTP:
        """A conversation that may be trusted with the message."""
        server = self._server
        if server.tls:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=_TIMEOUT_S, context=self._tls)
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=_TIMEOUT_S)
        try:
            if not server.tls and not server.is_here:
                connection.starttls(context=self._tls)
            if server.user is not None and server.password is not None:
                connection.login(server.user, server.password)
        except BaseException:
            connection.close()
            raise
        return connection


def message_of(letter: Letter, sender: str) -> EmailMessage:
    """A notice as a message: the same bytes at each attempt but for the boundary between its forms."""
    message = EmailMessage(policy=_POLICY)
    message["From"] = sender
    message["To"] = letter.address
    message["Subject"] = letter.digest.subject
    message["Date"] = format_datetime(letter.written_at)
    message["Message-ID"] = letter.message_id
    message["Auto-Submitted"] = "auto-generated"
    message["List-Unsubscribe"] = f"<{letter.digest.unsubscribe_url}>"
    if letter.digest.unsubscribe_url.startswith("https://"):
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(letter.digest.text, cte="quoted-printable")
    message.add_alternative(letter.digest.html, subtype="html", cte="quoted-printable")
    # Of both forms: set before them, it would be moved into the first.
    message["Content-Language"] = "fr, en"
    return message


def _answered(code: int, said: bytes | str) -> Attempt:
    """What a server's code means (RFC 5321, 4.2.1): 4yz may be tried again, 5yz not."""
    reason = f"SMTP {_code(code, said)}"
    return Attempt(Answer.REFUSED if 500 <= code < 600 else Answer.LATER, reason)


def _code(code: int, said: bytes | str) -> str:
    """A server's code alone: its words may hold the address."""
    found = _ENHANCED.search(said if isinstance(said, bytes) else said.encode())
    return f"{code} {found[0].decode()}" if found else str(code)


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"SMTP {_code(error.smtp_code, error.smtp_error)}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or type(error).__name__
