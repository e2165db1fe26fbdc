"""The letter by which somebody sets a new password."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid

import structlog

from api.notices.channels import Answer
from api.notices.mail import MailSender, MailServer

_TEXT = """Bonjour,

Pour choisir un nouveau mot de passe, ouvrez ce lien dans l'heure qui vient ; il ne sert qu'une fois :

{link}

Si vous n'avez rien demandé, ne faites rien : votre mot de passe reste ce qu'il est.

--
To choose a new password, open the link above within an hour; it is good once. If you have not asked for it, do nothing.
"""


def deliver_by_mail(server: MailServer, mail_from: str) -> Callable[[str, str], None]:
    """What sends links for new passwords.

    Parameters
    ----------
    server, mail_from
        As of notices.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When the sender's address will not do.
    """
    sender = MailSender(server, mail_from)

    def deliver(email: str, link: str) -> None:
        attempt = sender.send_message(reset_message(sender.sender, email, link), email)
        if attempt.answer is not Answer.TAKEN:
            # Neither whom it was for, nor the link.
            structlog.get_logger("sylvigie.accounts").error("a link could not be sent", reason=attempt.reason)

    return deliver


def reset_message(sender: str, email: str, link: str) -> EmailMessage:
    """The letter, French first."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = email
    message["Subject"] = "Sylvigie : nouveau mot de passe / new password"
    message["Date"] = format_datetime(dt.datetime.now(dt.UTC))
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message["Content-Language"] = "fr, en"
    message.set_content(_TEXT.format(link=link), cte="quoted-printable")
    return message
