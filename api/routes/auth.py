"""Signing in and out, one's own account, and personal keys."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from api.access import Caller, allowed, caller_for
from api.identity import sessions
from api.identity.invitations import accept
from api.identity.people import data_of, person_of
from api.identity.roles import Right
from api.identity.sign_in import by_password, person_of_claims, recall, remember
from api.identity.tokens import create_key, keys_of, revoke_key
from api.problems import responses
from api.routes.features import ROOT
from api.schemas import KeyInfo, KeyMade, Me, NewKey, PasswordSet, SignIn
from api.service import Service, service_of
from tiles.errors import AccessRefusedError, InvalidParameterError, NotAllowedError

_BEGUN: Final = "-oidc"
"""What the cookie of a sign-in that has begun is named, after that of a session."""


def _unkept(response: Response) -> None:
    """Answers of these routes are kept nowhere."""
    response.headers["Cache-Control"] = "no-store"


router = APIRouter(prefix=f"{ROOT}/auth", tags=["Accounts"], dependencies=[Depends(_unkept)])

_MaySignIn = Annotated[Caller, Depends(allowed(Right.SIGN_IN))]
_Member = Annotated[Caller, Depends(allowed(Right.REPORT))]
_WRITES: Final[dict[str, Any]] = {"security": [{"token": []}]}


@router.get("/me", responses=responses(), summary="Who one is")
def me(request: Request, caller: Annotated[Caller, Depends(allowed(Right.READ))]) -> Me:
    """Name, role and rights; and what a page sends as `X-CSRF-Token` with each write."""
    service = service_of(request)
    return _me(service, caller, request.cookies.get(service.cookie_name))


@router.post("/session", responses=responses(403, 413), summary="Sign in", openapi_extra={"security": []})
def sign_in(request: Request, response: Response, said: SignIn, _: _MaySignIn) -> Me:
    """By name or address, and password: the cookie of a session comes with the answer."""
    service = service_of(request)
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise NotAllowedError("One signs in on a page of this service.")
    service.sign_in_limit.count(said.login, request.client.host if request.client else "unknown")
    user_seq, token = by_password(service.database, said.login, said.password.get_secret_value())
    _set_cookie(response, service, token)
    return _me(service, _caller(service, user_seq), token)


@router.delete(
    "/session", status_code=204, responses=responses(403), summary="Sign out", openapi_extra={"security": []}
)
def sign_out(request: Request, _: _MaySignIn) -> Response:
    """End the session, if there is one."""
    service = service_of(request)
    answer = Response(status_code=204)
    token = request.cookies.get(service.cookie_name)
    if token is not None:
        sessions.end(service.database, token)
        answer.delete_cookie(service.cookie_name, path="/", secure=service.is_safe, httponly=True, samesite="lax")
    return answer


@router.post("/links/accept", responses=responses(403, 409, 413), summary="Use a link", openapi_extra={"security": []})
def accept_link(request: Request, response: Response, said: PasswordSet, _: _MaySignIn) -> Me:
    """Make one's account by an invitation, or set a new password; one is signed in then."""
    service = service_of(request)
    address = request.client.host if request.client else "unknown"
    service.sign_in_limit.count(f"link {address}", address)
    user_seq = accept(service.database, said.token, said.password.get_secret_value(), said.name)
    with service.database.writing_aside() as writing:
        token = sessions.begin(writing, user_seq)
    _set_cookie(response, service, token)
    return _me(service, _caller(service, user_seq), token)


@router.get(
    "/oidc/start",
    status_code=302,
    response_class=RedirectResponse,
    responses=responses(),
    summary="Sign in by the provider of identities",
    openapi_extra={"security": []},
)
def oidc_start(request: Request, _: _MaySignIn) -> Response:
    """Leads to the provider."""
    service = service_of(request)
    if service.provider is None:
        raise InvalidParameterError("This service has no provider of identities: sign in by name and password.")
    begun = service.provider.begin(_callback(service, request))
    answer = RedirectResponse(begun.address, 302, headers={"Cache-Control": "no-store"})
    token = remember(service.database, begun)
    _cookie(answer, service, service.cookie_name + _BEGUN, token, 600)
    return answer


@router.get(
    "/oidc/callback",
    status_code=302,
    response_class=RedirectResponse,
    responses=responses(403),
    summary="Where the provider leads back to",
    openapi_extra={"security": []},
)
def oidc_callback(
    request: Request,
    _: _MaySignIn,
    state: Annotated[str, Query(max_length=200)],
    code: Annotated[str | None, Query(max_length=2000)] = None,
    error: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Begins a session, and leads to the page."""
    service = service_of(request)
    if service.provider is None:
        raise InvalidParameterError("This service has no provider of identities: sign in by name and password.")
    begun = recall(service.database, request.cookies.get(service.cookie_name + _BEGUN, ""), state)
    if code is None or error is not None:
        raise AccessRefusedError("The provider did not sign you in: begin again.")
    claims = service.provider.finish(code, _callback(service, request), begun)
    user_seq = person_of_claims(service.database, claims, service.claim_names)
    with service.database.writing_aside() as writing:
        token = sessions.begin(writing, user_seq)
        writing.audit(f"user:{user_seq}", "sign in", "provider")
    answer = RedirectResponse(service.base_url(request) + "/", 302, headers={"Cache-Control": "no-store"})
    _set_cookie(answer, service, token)
    answer.delete_cookie(service.cookie_name + _BEGUN, path="/", secure=service.is_safe, httponly=True)
    return answer


@router.get("/me/data", responses=responses(403), summary="All that is kept of oneself")
def my_data(request: Request, caller: _Member) -> dict[str, Any]:
    """RGPD, articles 15 and 20."""
    return data_of(service_of(request).database, _seq(caller), caller.author)


@router.get("/keys", responses=responses(403), summary="One's keys for scripts")
def keys(request: Request, caller: _Member) -> list[KeyInfo]:
    """Without the keys themselves."""
    found = keys_of(service_of(request).database, _seq(caller))
    return [
        KeyInfo(name=k.name, rights=list(k.rights), created_at=k.created_at, expires_at=k.expires_at) for k in found
    ]


@router.post("/keys", status_code=201, responses=responses(403, 409, 413), summary="Make a key", openapi_extra=_WRITES)
def make_key(request: Request, new: NewKey, caller: _Member) -> KeyMade:
    """It is shown this once, and can do no more than its owner."""
    if caller.token_seq is not None:
        raise NotAllowedError("A key is made by who has signed in, not by another key.")
    rights = frozenset(new.rights)
    if not rights <= caller.rights:
        raise NotAllowedError("A key cannot have a right that you do not have.")
    key = create_key(service_of(request).database, _seq(caller), new.name, rights, new.days, caller.author)
    return KeyMade(key=key)


@router.delete(
    "/keys/{name}", status_code=204, responses=responses(403, 404), summary="End a key", openapi_extra=_WRITES
)
def end_key(request: Request, name: str, caller: _Member) -> None:
    """At once."""
    revoke_key(service_of(request).database, _seq(caller), name, caller.author)


def _me(service: Service, caller: Caller, token: str | None) -> Me:
    name = None
    if caller.user_seq is not None:
        with service.database.reading() as connection:
            person = person_of(connection, caller.user_seq)
        name = None if person is None else person.name
    return Me(
        user=caller.user_seq,
        name=name,
        role=caller.role,
        rights=sorted(caller.rights),
        departements=sorted(caller.departements),
        csrf=sessions.csrf_of(token) if token is not None and caller.user_seq is not None else None,
        oidc=service.provider is not None,
    )


def _caller(service: Service, user_seq: int) -> Caller:
    with service.database.reading() as connection:
        person = person_of(connection, user_seq)
    if person is None:
        raise AccessRefusedError("The account has ended: ask an administrator.")
    return caller_for(person)


def _seq(caller: Caller) -> int:
    if caller.user_seq is None:
        raise NotAllowedError("This is of a person's account: sign in, a token of the machine will not do.")
    return caller.user_seq


def _callback(service: Service, request: Request) -> str:
    return f"{service.base_url(request)}{ROOT}/auth/oidc/callback"


def _set_cookie(answer: Response, service: Service, token: str) -> None:
    _cookie(answer, service, service.cookie_name, token, int(sessions.LONGEST.total_seconds()))


def _cookie(answer: Response, service: Service, name: str, value: str, seconds: int) -> None:
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=service.is_safe, httponly=True, samesite="lax")


def sign_in_address(base_url: str, token: str) -> str:
    """The link of an invitation, for the page that will be there; the token is behind #, and in no server's log."""
    return f"{base_url}/#{urlencode({'invitation': token})}"
