"""Signing in and out, invitations, new passwords, personal keys."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import structlog
from fastapi import APIRouter, BackgroundTasks, Depends, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from api.access import allowed, may_anybody, may_signed_in
from api.identity.accounts import find_person
from api.identity.callers import Caller
from api.identity.invitations import Invited, accept_invitation, accept_reset, invite, make_reset
from api.identity.keys import list_keys, make_key, revoke_key
from api.identity.openid import STATE_COOKIE, Going, address_to_go_to, sign_in_by_code
from api.identity.provider import Provider
from api.identity.random_tokens import digest_of
from api.identity.roles import Right
from api.identity.schemas import (
    Acceptance,
    Credentials,
    KeyAnswer,
    Keys,
    MadeKey,
    Me,
    NewInvitation,
    NewKey,
    NewPassword,
    NewReset,
    OneTimeLink,
    Told,
)
from api.identity.sessions import (
    COOKIE,
    LONGEST,
    cookie_name,
    csrf_token,
    end_session,
    lay_cookie,
    take_cookie,
)
from api.identity.signing_in import sign_in
from api.problems import NEEDS_TOKEN, responses
from api.routes.features import ROOT
from api.service import Service, service_of
from tiles.errors import AccessRefusedError, NotFoundError, SylvigieError

router = APIRouter(prefix=f"{ROOT}/auth", tags=["Accounts"])

_Anybody = Depends(may_anybody)
_SignedIn = Annotated[Caller, Depends(may_signed_in)]


@router.post("/session", dependencies=[_Anybody], responses=responses(403, 413), summary="Sign in")
def begin_session(request: Request, response: Response, given: Credentials) -> Me:
    """Lays the session's cookie; the CSRF token goes into the header `X-CSRF-Token` of what is sent with it."""
    service = service_of(request)
    password = given.password.get_secret_value()
    person, session = sign_in(service.database, service.attempts, given.email, password, _address_of(request))
    _end_old(request, service)
    _lay(request, response, session)
    return Me.of(person.caller(), person.name, csrf_token(session))


@router.delete("/session", status_code=204, responses=responses(403), summary="Sign out", openapi_extra=NEEDS_TOKEN)
def leave(request: Request, response: Response, caller: _SignedIn) -> None:
    """Ends the session of the cookie."""
    service = service_of(request)
    if caller.session is not None:
        end_session(service.database, caller.session)
    base_url = service.base_url(request)
    take_cookie(response, cookie_name(base_url), base_url)


@router.get("/me", responses=responses(), summary="Who asks, and what they may do")
def me(request: Request, response: Response, caller: Annotated[Caller, Depends(allowed(Right.READ))]) -> Me:
    """Also for who has not signed in."""
    service = service_of(request)
    response.headers["Cache-Control"] = "no-store"
    name = None
    if caller.user_seq is not None:
        with service.database.reading() as connection:
            name = find_person(connection, caller.user_seq).name
    session = request.cookies.get(cookie_name(service.base_url(request)))
    return Me.of(caller, name, csrf_token(session) if session is not None and caller.session is not None else None)


@router.post(
    "/invitations", status_code=201, responses=responses(403, 409, 413), summary="Invite", openapi_extra=NEEDS_TOKEN
)
def add_invitation(
    request: Request, asked: NewInvitation, caller: Annotated[Caller, Depends(allowed(Right.MANAGE))]
) -> OneTimeLink:
    """The link is good once, for seven days; hand it on."""
    service = service_of(request)
    invited = Invited(asked.email, asked.role, tuple(asked.departements))
    token = invite(service.database, invited, caller.name)
    return OneTimeLink(link=invitation_address(service.base_url(request), token))


@router.post(
    "/invitations/accept",
    status_code=201,
    dependencies=[_Anybody],
    responses=responses(403, 409, 413),
    summary="Make an account of an invitation",
)
def take_up(request: Request, given: Acceptance) -> Told:
    """Sign in then."""
    service, token = service_of(request), given.token.get_secret_value()
    # To hash a password is work, that links which are made up would have done.
    service.attempts.count("link", token, _address_of(request))
    accept_invitation(service.database, token, given.name, given.password.get_secret_value())
    return Told(told="The account is made: sign in.")


@router.post(
    "/resets",
    status_code=202,
    dependencies=[_Anybody],
    responses=responses(403, 413),
    summary="Ask for a link to set a password anew",
)
def ask_for_reset(request: Request, asked: NewReset, tasks: BackgroundTasks) -> Told:
    """The same answer, in the same time, whether there is such an account or not."""
    service = service_of(request)
    service.attempts.count("reset", asked.email.strip().lower(), _address_of(request))
    tasks.add_task(_send_reset, service, asked.email)
    return Told(told="If there is such an account, a link was sent to it.")


@router.post(
    "/resets/accept", dependencies=[_Anybody], responses=responses(403, 413), summary="Set a password by a link"
)
def set_anew(request: Request, given: NewPassword) -> Told:
    """Ends all sessions that were begun with the old one."""
    service, token = service_of(request), given.token.get_secret_value()
    service.attempts.count("link", token, _address_of(request))
    accept_reset(service.database, token, given.password.get_secret_value())
    return Told(told="The password is set: sign in.")


@router.get(
    "/oidc/start",
    status_code=302,
    dependencies=[_Anybody],
    response_class=RedirectResponse,
    responses=responses(404) | {302: {"description": "To the provider."}},
    summary="Sign in at the OpenID provider",
)
def go_to_provider(request: Request) -> Response:
    """Authorisation code with PKCE, state and nonce."""
    service = service_of(request)
    provider, base_url, going = _provider(service), service.base_url(request), Going.new()
    response = RedirectResponse(address_to_go_to(provider, going, _callback(base_url)), 302)
    lay_cookie(response, cookie_name(base_url, STATE_COOKIE), str(going), base_url, Going.GOOD_FOR)
    response.headers["Cache-Control"] = "no-store"
    return response


@router.get(
    "/oidc/callback",
    status_code=303,
    dependencies=[_Anybody],
    response_class=RedirectResponse,
    responses=responses(403, 404, 409) | {303: {"description": "Signed in; to the page."}},
    summary="Come back from the OpenID provider",
)
def come_back(
    request: Request,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    iss: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """Called by the browser; the first sign-in makes the account."""
    service = service_of(request)
    provider, base_url = _provider(service), service.base_url(request)
    name = cookie_name(base_url, STATE_COOKIE)
    going = Going.of(request.cookies.get(name))
    if not code or iss not in (None, provider.params.issuer):
        raise AccessRefusedError("The provider did not sign you in: begin again.")
    _, session = sign_in_by_code(service.database, provider, going, state, code, _callback(base_url))
    _end_old(request, service)
    response = RedirectResponse(f"{base_url}/", 303)
    take_cookie(response, name, base_url)
    _lay(request, response, session)
    return response


@router.get("/keys", responses=responses(403), summary="One's keys", openapi_extra=NEEDS_TOKEN)
def keys(request: Request, caller: _SignedIn) -> Keys:
    """All that one has or had, without the keys themselves."""
    found = list_keys(service_of(request).database, caller.user_seq or 0)
    return Keys(keys=[KeyAnswer.model_validate(dataclasses.asdict(each)) for each in found])


@router.post(
    "/keys", status_code=201, responses=responses(403, 409, 413), summary="Make a key", openapi_extra=NEEDS_TOKEN
)
def add_key(request: Request, asked: NewKey, caller: _SignedIn) -> MadeKey:
    """For scripts: it has one's rights, or fewer, and is shown this once."""
    number, key = make_key(service_of(request).database, caller, asked.name, frozenset(asked.rights), asked.days)
    return MadeKey(id=number, key=key)


@router.delete(
    "/keys/{key_id}", status_code=204, responses=responses(403, 404), summary="End a key", openapi_extra=NEEDS_TOKEN
)
def end_key(request: Request, key_id: Annotated[int, Path(ge=1, le=2**53)], caller: _SignedIn) -> None:
    """One of one's own."""
    revoke_key(service_of(request).database, caller, key_id)


def invitation_address(base_url: str, token: str) -> str:
    """Where an invitation is taken up."""
    return f"{base_url}/invitation#{token}"


def reset_address(base_url: str, token: str) -> str:
    """Where a password is set anew."""
    return f"{base_url}/reset#{token}"


def _address_of(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _send_reset(service: Service, email: str) -> None:
    log = structlog.get_logger("sylvigie.accounts")
    # Never by the request's own Host, which whoever asks makes up: the link would lead to them.
    base_url = service.settings.public_url
    if service.deliver is None or base_url is None:
        log.warning("no link was sent: set SYLVIGIE_PUBLIC_URL and e-mail, or make one by `sylvigie user reset`")
        return
    try:
        token = make_reset(service.database, email, "anybody")
        if token is not None:
            service.deliver(email.strip().lower(), reset_address(base_url.rstrip("/"), token))
    except SylvigieError:
        # Whose it was is not told; the answer has been given already.
        log.error("a link could not be sent")


def _provider(service: Service) -> Provider:
    if service.provider is None:
        raise NotFoundError("This service has no OpenID provider: sign in with a password.")
    return service.provider


def _callback(base_url: str) -> str:
    return f"{base_url}{ROOT}/auth/oidc/callback"


def _lay(request: Request, response: Response, session: str) -> None:
    base_url = service_of(request).base_url(request)
    lay_cookie(response, cookie_name(base_url, COOKIE), session, base_url, LONGEST)
    response.headers["Cache-Control"] = "no-store"


def _end_old(request: Request, service: Service) -> None:
    """End the session that the browser had: it is another's now, or of before."""
    old = request.cookies.get(cookie_name(service.base_url(request)))
    if old is not None:
        end_session(service.database, digest_of(old[:200]))
