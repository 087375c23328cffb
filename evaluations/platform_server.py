"""Any platform served over HTTP: the other side of `platform_http`, and a pattern for a service of one's own.

Serves whoever reaches its address and asks for no password: listen on loopback.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from evolve.contracts import Platform
from evolve.errors import UsageError

MOST_BYTES = 1 << 20


def server(platform: Platform, port: int = 0) -> HTTPServer:
    """A server on loopback, one request at a time; `serve_forever` and `shutdown` are the caller's. Port 0 takes a
    free one (`server_port`)."""

    class Handler(_Handler):
        served = platform

    return HTTPServer(("127.0.0.1", port), Handler)


class _Handler(BaseHTTPRequestHandler):
    served: Platform

    def do_PUT(self) -> None:
        self._answer("PUT")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def do_GET(self) -> None:
        self._answer("GET")

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the caller has its own log."""

    def _answer(self, method: str) -> None:
        try:
            found = self._call(method, urlsplit(self.path).path.strip("/").split("/"))
        except (UsageError, KeyError, ValueError, TypeError) as error:
            self._send(400, {"error": str(error)})
        else:
            self._send(404 if found is None else 200, found)

    def _call(self, method: str, path: list[str]) -> Any:
        """What the platform answers, or None where there is no such place."""
        match method, path:
            case "PUT", ["experiments", name]:
                body = self._body()
                self.served.launch(unquote(name), body["arms"], float(body["traffic"]))
            case "PUT", ["experiments", name, "traffic"]:
                self.served.ramp(unquote(name), float(self._body()["traffic"]))
            case "DELETE", ["experiments", name]:
                self.served.stop(unquote(name))
            case "PUT", ["champion"]:
                self.served.promote(str(self._body()["arm"]))
            case "GET", ["reports"]:
                day = int(parse_qs(urlsplit(self.path).query)["day"][0])
                return [asdict(report) for report in self.served.observe(day)]
            case _:
                return None
        return {}

    def _body(self) -> Any:
        size = int(self.headers.get("Content-Length", "0"))
        if not 0 < size <= MOST_BYTES:
            raise ValueError(f"a body of {size} bytes; expected 1 to {MOST_BYTES}")
        return json.loads(self.rfile.read(size))

    def _send(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
