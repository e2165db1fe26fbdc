"""The way out of notices: a page that asks, and the click that ends (RFC 8058).

To look at the page ends nothing: scanners of mail follow links. The link is all that is needed, as RFC 8058 asks: no
account, no cookie; and so it is never written to a log.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import HTMLResponse

from api.access import allowed
from api.identity.roles import Right
from api.notices.digest import UNSUBSCRIBE_PATH
from api.notices.subscribing import subscription_of_token, unsubscribe
from api.service import service_of

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"  # its one button
    ),
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}
_PAGE: Final = (
    '<!DOCTYPE html>\n<html lang="fr"><head><meta charset="utf-8"><title>Sylvigie</title>'
    '<meta name="viewport" content="width=device-width"></head><body><p>{text}</p>{form}</body></html>\n'
)
_BUTTON: Final = '<form method="post"><button>Ne plus recevoir ces avis / Stop these notices</button></form>'
_QUESTION: Final = "Ne plus recevoir les avis de Sylvigie ? / Stop the notices of Sylvigie?"
_ENDED: Final = "C'est fait : cet abonnement est terminé. / Done: this subscription has ended."

router = APIRouter(prefix=UNSUBSCRIBE_PATH, include_in_schema=False)

_Token = Annotated[str, Path(max_length=64)]


@router.get("/{token}", dependencies=[Depends(allowed(Right.UNSUBSCRIBE))])
def question(request: Request, token: _Token) -> HTMLResponse:
    """The page that asks."""
    subscription = subscription_of_token(service_of(request).database, token)
    return _page(_QUESTION, _BUTTON) if subscription.ended_at is None else _page(_ENDED)


@router.post("/{token}", dependencies=[Depends(allowed(Right.UNSUBSCRIBE))])
def end(request: Request, token: _Token) -> HTMLResponse:
    """The click; once more does no harm."""
    unsubscribe(service_of(request).database, token)
    return _page(_ENDED)


def _page(text: str, form: str = "") -> HTMLResponse:
    return HTMLResponse(_PAGE.format(text=text, form=form), headers=_HEADERS)
