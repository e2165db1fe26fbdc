"""A sender that is killed: before it hands a notice over, or just after it was taken."""

from __future__ import annotations

import os
import signal
import sys

import sqlalchemy as sa

from api.notices.addresses import Channel
from api.notices.channels import Attempt, Letter
from api.notices.mail import MailSender, MailServer
from api.notices.sending import Senders, send_notices
from api.store.database import Database


class Killed:
    """Kills its own process."""

    def __init__(self, sender: MailSender, *, after: bool) -> None:
        self._sender, self._after = sender, after

    def send(self, letter: Letter) -> Attempt:
        if self._after:
            self._sender.send(letter)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")


if __name__ == "__main__":
    _, url, smtp_url, when = sys.argv
    mail = MailSender(MailServer.of_url(smtp_url), "alertes@exemple.fr")
    senders = Senders({Channel.EMAIL: Killed(mail, after=when == "after")})
    send_notices(Database(sa.make_url(url)), "https://sylvigie.exemple.fr", senders)
