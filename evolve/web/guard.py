"""Who may ask: this machine, with the token, from our own pages. Wraps the application; knows nothing of its pages.

The token in the address is changed into a cookie at once, so that it stays in no history of links. A request that
changes anything must come from our own origin. Pages may run no script and load no style but ours.
"""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types fragment",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With `no-referrer` a form would name its origin `null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
SAFE = frozenset({"GET", "HEAD"})
LONGEST_BODY = 64 << 10


class Guard:
    """Lets in who shows the token, and sets the headers of every answer."""

    def __init__(self, app: ASGIApp, *, port: int, token: str) -> None:
        self._app, self._token = app, token
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        # Cookies do not know ports: two pages on one machine must not take each other's.
        self._cookie, self._session = f"evolve-{port}", secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        request = Request(scope)
        answer = self._answer(request)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await (answer or self._app)(scope, receive, with_headers)

    def _answer(self, request: Request) -> Response | None:
        """The refusal, or the exchange of the token for a cookie; None where the application may answer."""
        if request.headers.get("host", "") not in self._hosts:
            return _refusal("This page answers at 127.0.0.1 alone.")
        if request.method in SAFE and (shown := request.query_params.get("token")) is not None:
            return self._exchanged(request, shown)
        if not _equal(request.cookies.get(self._cookie, ""), self._session):
            return _refusal("Open the address that `evolve ui` printed: it holds the token that lets you in.")
        if request.method not in SAFE:
            return self._why_not_change(request)
        return None

    def _exchanged(self, request: Request, shown: str) -> Response:
        if not _equal(shown, self._token):
            return _refusal("This token is not that of this page: use the address that `evolve ui` printed last.")
        left = urlencode([(k, v) for k, v in parse_qsl(request.url.query) if k != "token"])
        # A path that begins with two slashes would name another host.
        path = "/" + request.url.path.lstrip("/")
        answer = RedirectResponse(f"{path}?{left}" if left else path, status_code=303)
        answer.set_cookie(self._cookie, self._session, httponly=True, samesite="strict", path="/")
        return answer

    def _why_not_change(self, request: Request) -> Response | None:
        if request.headers.get("origin", "") != f"http://{request.headers['host']}":
            return _refusal("A change must come from a page of this server.")
        length = request.headers.get("content-length", "")
        if not length.isdigit() or int(length) > LONGEST_BODY:
            return _refusal(f"A form of at most {LONGEST_BODY} bytes was expected.")
        return None


def _equal(shown: str, right: str) -> bool:
    return hmac.compare_digest(shown.encode(), right.encode())


def _refusal(reason: str) -> Response:
    return PlainTextResponse(reason + "\n", status_code=403)
