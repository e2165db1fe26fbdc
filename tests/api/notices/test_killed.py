"""SIGKILL between writing a notice, sending it and noting that: it is sent, under one Message-ID."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from api.notices.sending import SendingResult
from api.store.database import Database
from api.store.tables import notice_alerts, notices
from tests.api.alerts import found_alert
from tests.api.notices.conftest import by_mail, put
from tests.api.notices.servers import Mailbox


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_run_loses_no_notice(
    store: Database, send: Callable[..., SendingResult], mailbox: Mailbox, when: str
) -> None:
    by_mail(store)
    put(store, found_alert(1), found_alert(2, latitude=45.0))
    words = [store.url.render_as_string(hide_password=False), mailbox.url, when]
    ended = subprocess.run([sys.executable, "-m", "tests.api.notices.killed", *words], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    with store.reading() as connection:
        assert connection.execute(sa.select(notices.c.state, notices.c.attempts)).all() == [("waiting", 1)]
        assert len(connection.execute(sa.select(notice_alerts)).all()) == 2
    assert send().sent == 0, "it is still that run's"
    result = send(hours=0.3)
    assert (result.written, result.sent) == (0, 1)
    assert len(mailbox.messages) == (2 if when == "after" else 1)
    assert len({message["Message-ID"] for message in mailbox.messages}) == 1


def test_the_store_itself_refuses_an_alert_told_twice(store: Database, send: Callable[..., SendingResult]) -> None:
    by_mail(store)
    put(store, found_alert(1))
    with store.writing() as writing:
        # What another has told meanwhile, unseen by the one that writes.
        row = {"subscription_seq": 1, "state": "sent", "message_id": "<x>", "unsubscribe_digest": "x", "alerts": 1}
        row |= {"attempts": 1, "created_at": writing.now}
        writing.connection.execute(sa.insert(notices), row)
        told = {"subscription_seq": 1, "alert_seq": 1, "notice_seq": 1}
        writing.connection.execute(sa.insert(notice_alerts), told)
    with pytest.raises(sa.exc.IntegrityError), store.engine.begin() as connection:
        connection.execute(sa.insert(notice_alerts), told)
    assert send() == SendingResult()
