"""One's own subscriptions to notices of new alerts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request

from api.access import allowed
from api.identity.accounts import find_person
from api.identity.callers import Caller
from api.identity.roles import Right
from api.notices.addresses import Channel, shown_address
from api.notices.subscribing import Subscription, Wanted, end_subscription, standing_subscriptions, subscribe
from api.problems import NEEDS_TOKEN, responses
from api.routes.features import ROOT
from api.schemas import NewSubscription, SubscriptionInfo, SubscriptionMade
from api.service import Service, service_of
from tiles.errors import InvalidParameterError, NotAllowedError, NotFoundError

router = APIRouter(prefix=f"{ROOT}/subscriptions", tags=["Notices"])

_Member = Annotated[Caller, Depends(allowed(Right.REPORT))]


@router.get("", responses=responses(403), summary="One's subscriptions")
def mine(request: Request, caller: _Member) -> list[SubscriptionInfo]:
    """Administrators see those of all; of a webhook its host alone."""
    return [_told(each) for each in _theirs(service_of(request), caller)]


@router.post("", status_code=201, responses=responses(403, 413), summary="Subscribe", openapi_extra=NEEDS_TOKEN)
def add(request: Request, new: NewSubscription, caller: _Member) -> SubscriptionMade:
    """By mail to the address of one's account; webhooks, which are no person's, are for administrators."""
    service = service_of(request)
    if caller.user_seq is None:
        raise NotAllowedError("A subscription is a person's: sign in, or use `sylvigie subscriptions add`.")
    wanted = Wanted(tuple(new.departements), tuple(new.criteria), new.min_area_ha, new.abusive_only)
    if new.channel is Channel.WEBHOOK:
        if Right.MANAGE not in caller.rights:
            raise NotAllowedError("Webhooks are for administrators.")
        address = new.address or ""
    else:
        with service.database.reading() as connection:
            person = find_person(connection, caller.user_seq)
        if person.email is None:
            raise InvalidParameterError("Your account has no address for mail: ask an administrator.")
        address = person.email
    seq = subscribe(
        service.database,
        new.channel,
        address,
        wanted,
        private_hosts=service.settings.webhook_private_hosts,
        user_seq=caller.user_seq,
        actor=caller.name,
    )
    return SubscriptionMade(subscription=seq)


@router.delete(
    "/{subscription}", status_code=204, responses=responses(403, 404), summary="End one", openapi_extra=NEEDS_TOKEN
)
def end(request: Request, subscription: Annotated[int, Path(ge=1, le=2**53)], caller: _Member) -> None:
    """Its address is forgotten."""
    service = service_of(request)
    if subscription not in {each.seq for each in _theirs(service, caller)}:
        raise NotFoundError(f"There is no subscription {subscription} of yours that stands.")
    end_subscription(service.database, subscription, actor=caller.name)


def _theirs(service: Service, caller: Caller) -> list[Subscription]:
    standing = standing_subscriptions(service.database)
    if Right.MANAGE in caller.rights:
        return list(standing)
    return [each for each in standing if each.user_seq is not None and each.user_seq == caller.user_seq]


def _told(each: Subscription) -> SubscriptionInfo:
    return SubscriptionInfo(
        subscription=each.seq,
        channel=each.channel,
        address=shown_address(each.channel, each.address),
        departements=list(each.wanted.departements),
        criteria=list(each.wanted.criteria),
        min_area_ha=each.wanted.min_area_ha,
        abusive_only=each.wanted.abusive_only,
        created_at=each.created_at,
    )
