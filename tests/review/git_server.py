"""A real git server on this machine: git's own http-backend behind a small server, which can be told to misbehave."""

from __future__ import annotations

import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BACKEND = Path("/usr/lib/git-core/git-http-backend")


class GitServer:
    """Serves one bare repository. `trouble` is none, `hang`, `drop`, `late drop` or `unauthorised`."""

    def __init__(self, folder: Path) -> None:
        self.repository = folder / "there.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.repository)], check=True)
        subprocess.run(["git", "-C", str(self.repository), "config", "http.receivepack", "true"], check=True)
        self.trouble = ""
        self.let_go = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/owner/there.git"

    def refuse(self, words: str) -> None:
        """From now on a hook of the repository says no."""
        hook = self.repository / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit 1\n")
        hook.chmod(0o755)

    def allow(self) -> None:
        (self.repository / "hooks" / "pre-receive").unlink()

    def branches(self) -> list[str]:
        words = ["git", "-C", str(self.repository), "for-each-ref", "--format=%(refname:short)", "refs/heads"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()

    def close(self) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(server: GitServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self._body())

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            return b"".join(parts)

        def _answer(self, body: bytes) -> None:
            self.close_connection = True
            if server.trouble == "hang":
                server.let_go.wait(60)
            elif server.trouble == "drop" or (server.trouble == "late drop" and self.command == "POST"):
                self.connection.close()
            elif server.trouble == "unauthorised":
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.end_headers()
            else:
                self._backend(body)

        def _backend(self, body: bytes) -> None:
            path, _, query = self.path.partition("?")
            environment = {
                **os.environ, "GIT_PROJECT_ROOT": str(server.repository.parent), "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path.removeprefix("/owner"), "QUERY_STRING": query, "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                "REMOTE_USER": "tester", "REMOTE_ADDR": "127.0.0.1",
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }  # fmt: skip
            told = subprocess.run([str(BACKEND)], input=body, env=environment, capture_output=True, check=False).stdout
            head, _, content = told.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
            self.send_response(int(fields.pop("Status", "200 OK").split()[0]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    return Handler
