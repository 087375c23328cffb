"""Serves the pages on the loopback interface, for who holds the token, until it is interrupted."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from evolve.contracts import Clock
from evolve.errors import SetupError

HOST = "127.0.0.1"
GRACE_S = 1
"""How long an open stream may hold up the end."""


def serve(runs: Path, name: str, port: int, clock: Clock, say: Callable[[str], None]) -> None:
    """Serves the runs of a folder; `say` is told the address once, with the token, at the page of run `name`.

    Port 0 takes any that is free. Raises SetupError where the port can't be had.
    """
    import uvicorn

    from evolve.web.app import application
    from evolve.web.guard import Guard
    from evolve.web.site import Site

    with _listening(port) as listening:
        port = listening.getsockname()[1]
        token = secrets.token_urlsafe(32)
        site = Site(runs, clock)
        app = Guard(application(site), port=port, token=token)
        config = uvicorn.Config(
            app,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=GRACE_S,
        )
        where = f"/runs/{quote(name, safe='')}" if name else "/"
        threading.Thread(target=site.shelf.read_ahead, args=(name,), daemon=True).start()
        say(f"http://{HOST}:{port}{where}?token={token}")
        uvicorn.Server(config).run(sockets=[listening])


def _listening(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise SetupError(
            f"port {port} of {HOST} can't be had: {error.strerror}", hint="Take another --port."
        ) from error
    return listening
