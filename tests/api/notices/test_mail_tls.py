"""Mail leaves this machine by TLS, or not at all."""

from __future__ import annotations

import datetime as dt
import shutil
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from api.notices.channels import TAKEN, Answer, Letter
from api.notices.digest import Digest
from api.notices.mail import MailSender, MailServer
from tests.api.notices.servers import smtp_server

LETTER = Letter(
    "garde@exemple.fr",
    "<a@exemple.fr>",
    dt.datetime(2026, 11, 1, tzinfo=dt.UTC),
    Digest("s", "t", "<p>t</p>", "m", "https://x.fr/u"),
)


class _Elsewhere(MailServer):
    """A server that is taken for one of another machine."""

    @property
    def is_here(self) -> bool:
        return False


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of this machine's address, that nobody vouches for, with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([openssl, *words.split(), *names], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def served(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


@pytest.mark.parametrize("from_the_start", [True, False])
def test_a_server_that_is_trusted(certificate: Path, served: ssl.SSLContext, from_the_start: bool) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    with smtp_server(served, from_the_start=from_the_start) as mailbox:
        server = _Elsewhere("127.0.0.1", mailbox.port, from_the_start)
        assert MailSender(server, "a@exemple.fr", trusting).send(LETTER) == TAKEN
        assert len(mailbox.messages) == 1


@pytest.mark.parametrize("from_the_start", [True, False])
def test_a_server_that_nobody_vouches_for(served: ssl.SSLContext, from_the_start: bool) -> None:
    with smtp_server(served, from_the_start=from_the_start) as mailbox:
        attempt = MailSender(_Elsewhere("127.0.0.1", mailbox.port, from_the_start), "a@exemple.fr").send(LETTER)
        assert (attempt.answer, attempt.channel_down) == (Answer.LATER, True)
        assert mailbox.messages == []


def test_a_server_elsewhere_without_tls() -> None:
    with smtp_server() as mailbox:
        here = MailServer("127.0.0.1", mailbox.port, False)
        attempt = MailSender(_Elsewhere(here.host, here.port, False), "a@exemple.fr").send(LETTER)
        assert (attempt.answer, attempt.channel_down) == (Answer.LATER, True)
        assert mailbox.messages == []
        assert MailSender(here, "a@exemple.fr").send(LETTER) == TAKEN
        login = replace(here, user="u", password="secret")
        refused = MailSender(login, "a@exemple.fr").send(LETTER)
        assert (refused.answer, refused.channel_down) == (Answer.LATER, True)
        assert "secret" not in refused.reason
