"""A real server in a process of its own, and a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium")


@dataclass
class Served:
    """The page of a folder of runs. `ask` is a request without a browser; `cookie` what lets one in."""

    address: str
    runs: Path
    cookie: str = ""

    @property
    def origin(self) -> str:
        return f"http://{self.host}"

    @property
    def host(self) -> str:
        return urlsplit(self.address).netloc

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> http.client.HTTPResponse:
        talk = http.client.HTTPConnection(self.host, timeout=20)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            named.setdefault("Content-Type", "application/x-www-form-urlencoded")
        talk.request(method, path, body, named)
        answer = talk.getresponse()
        answer.text = answer.read().decode()
        talk.close()
        return answer


def serve(runs: Path) -> Iterator[Served]:
    """`evolve ui` over a folder of runs, until the test is over."""
    command = [sys.executable, "-u", "-m", "evolve.cli", "ui", "--out", str(runs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        served = Served(process.stdout.readline().strip(), runs)
        where = urlsplit(served.address)
        answer = served.ask("GET", f"{where.path}?{where.query}")
        served.cookie = (answer.getheader("Set-Cookie") or "").split(";")[0]
        yield served
        process.send_signal(signal.SIGINT)
        process.wait(20)


@pytest.fixture(scope="session")
def chromium():
    """A browser for the whole session; skips where none is installed, but never in CI."""
    if CHROMIUM is None:
        assert "EVOLVE_CI" not in os.environ, "CI must have Chromium: apt-get install chromium"
        pytest.skip("no chromium is installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium):
    """A page of a fresh browser profile that notes what went wrong in it."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda said: page.wrong.append(said.text) if said.type == "error" else None)
    page.on("dialog", lambda dialog: (page.wrong.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
    page.set_default_timeout(15_000)
    yield page
    context.close()
