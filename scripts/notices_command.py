"""The commands of notices: `notices send`, `subscriptions add|list|end`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from api.notices.sending import SendingResult

notices = typer.Typer(help="Notices of new alerts, by mail and webhook.", no_args_is_help=True)
subscriptions = typer.Typer(help="Who is told of which alerts.", no_args_is_help=True)

_DataDir = Annotated[Path | None, typer.Option(help="Data directory. By default SYLVIGIE_DATA_DIR.")]


@notices.callback()
def of_notices() -> None:
    """Notices of new alerts, by mail and webhook."""


@notices.command("send")
def send(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say who would be told of what; write nothing.")] = False,
    data_dir: _DataDir = None,
) -> None:
    """Tell subscriptions what is news, and try again what waits; as often as one likes."""
    from api.settings import data_folder

    root = data_folder(data_dir)
    if dry_run:
        _tell_news(root)
        return
    result = send_due(root)
    for reason in result.reasons:
        print(reason)
    print(f"{result.sent} sent, {result.waiting} waiting, {result.given_up} given up.")


def send_due(data_dir: Path) -> SendingResult:
    """Send what is due from the store of a data directory.

    Raises
    ------
    tiles.errors.SylvigieError
        When the store cannot be used, or the settings do not tell the service's address.
    """
    from api.notices.sending import send_notices, senders_of
    from api.settings import load_settings
    from scripts.store_commands import open_store

    settings = load_settings()
    database = open_store(data_dir)
    try:
        return send_notices(database, settings.public_url, senders_of(settings))
    finally:
        database.close()


def _tell_news(root: Path) -> None:
    from api.notices.outbox import count_waiting, news_of_all
    from scripts.store_commands import open_store

    database = open_store(root)
    try:
        for subscription, news in news_of_all(database):
            told = f"{news.total.alerts} alerts, {news.total.area_ha:.1f} ha"
            print(f"subscription {subscription.seq} ({subscription.channel}): {told}.")
        print(f"{count_waiting(database)} waiting. Nothing was written.")
    finally:
        database.close()


@subscriptions.command("add")
def add(
    channel: Annotated[str, typer.Argument(help="email or webhook.")],
    address: Annotated[str, typer.Argument(help="E-mail address, or https:// address of the webhook.")],
    departement: Annotated[
        list[str] | None, typer.Option(help="Only this département, such as 40; may be repeated.")
    ] = None,
    criterion: Annotated[
        list[str] | None, typer.Option(help="Only alerts that meet this criterion; may be repeated: one is enough.")
    ] = None,
    min_area_ha: Annotated[float | None, typer.Option(help="Hectares at least.")] = None,
    abusive_only: Annotated[
        bool, typer.Option("--abusive-only", help="Only what the criteria call potentially abusive.")
    ] = False,
    data_dir: _DataDir = None,
) -> None:
    """Add a subscription; what is in the store already is no news to it."""
    from api.notices.addresses import Channel
    from api.notices.subscribing import Wanted, subscribe
    from api.settings import data_folder, load_settings
    from scripts.store_commands import open_store
    from tiles.errors import InvalidParameterError

    if channel not in set(Channel):
        raise InvalidParameterError(f"{channel} is no channel: there are {' and '.join(Channel)}.")
    wanted = Wanted(tuple(departement or ()), tuple(criterion or ()), min_area_ha, abusive_only)
    private_hosts = load_settings().webhook_private_hosts
    database = open_store(data_folder(data_dir))
    seq = subscribe(database, Channel(channel), address, wanted, private_hosts=private_hosts)
    print(f"subscription {seq}: added.")


@subscriptions.command("list")
def list_all(data_dir: _DataDir = None) -> None:
    """List the subscriptions there ever were: a JSON line each; of a webhook only its host."""
    from api.notices.addresses import shown_address
    from api.notices.subscribing import list_subscriptions
    from api.settings import data_folder
    from scripts.store_commands import open_store

    for each in list_subscriptions(open_store(data_folder(data_dir))):
        moments = {"created": each.created_at, "ended": each.ended_at}
        told = {key: None if at is None else at.isoformat(timespec="seconds") for key, at in moments.items()}
        about = {"seq": each.seq, "channel": each.channel, "address": shown_address(each.channel, each.address)}
        print(json.dumps(about | asdict(each.wanted) | told, ensure_ascii=False))


@subscriptions.command("end")
def end(seq: Annotated[int, typer.Argument(help="Its number, of the list.")], data_dir: _DataDir = None) -> None:
    """End a subscription, and forget its address."""
    from api.notices.subscribing import end_subscription
    from api.settings import data_folder
    from scripts.store_commands import open_store

    end_subscription(open_store(data_folder(data_dir)), seq)
    print(f"subscription {seq}: ended.")


def send_month(data_dir: Path) -> dict[str, object]:
    """Send what is due after a month, and tell of it as an event does."""
    result = send_due(data_dir)
    return {
        "sent": result.sent,
        "waiting": result.waiting,
        "given_up": result.given_up,
        "reasons": list(result.reasons),
    }
