"""The page that plays a run: whole in one file, and a stranger's text stays text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from evolve.journal import read
from evolve.lineage import Lineage
from evolve.replay.page import write
from evolve.replay.steps import steps
from tests.cli.test_cli import evolve
from tests.toys import Counting, toy_loop

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "<img src=x onerror=alert(1)>",
    "]]>\u2028alert(1)//",
    "DATA SCRIPT HASH",
    "'\"><svg onload=alert(1)>",
]


class Elements(HTMLParser):
    """What a browser would make of the page: its elements and the text of its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.attributes: list[str] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data):
        if self.found and self.found[-1] == "script" and data.strip():
            self.scripts.append(data)


def page(folder, hostile: str) -> str:
    class Hostile(Counting):
        def propose(self, history, seed):
            found = super().propose(history, seed)
            files = {"model.py": f"{found.files['model.py']}# {hostile}\n"}
            return replace(found, files=files, hypothesis=hostile, mechanism=hostile, technique=hostile)

    toy_loop(folder, budget=9, proposer=Hostile()).run()
    lineage = Lineage(folder / "lineage.git")
    return write(steps(read(folder / "journal.jsonl"), lineage), lineage, hostile, folder / "p.html").read_text()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_strangers_text_is_data_and_never_markup(tmp_path, hostile):
    seen, plain = Elements(), Elements()
    seen.feed(page(tmp_path / "hostile", hostile))
    plain.feed(page(tmp_path / "plain", "plain"))
    assert seen.found == plain.found and seen.attributes == plain.attributes
    assert seen.scripts[1] == plain.scripts[1]
    told = json.loads(seen.scripts[0])
    assert told["run"] == hostile and told["steps"][8]["hypothesis"] == hostile
    assert f"# {hostile.splitlines()[0]}" in told["steps"][8]["diff"]


def test_the_page_lets_only_its_own_script_run_and_fetches_nothing(tmp_path):
    text = page(tmp_path, "plain")
    seen = Elements()
    seen.feed(text)
    digest = base64.b64encode(hashlib.sha256(seen.scripts[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in text
    assert "innerHTML" not in text and not {"src", "href", "onclick"} & set(seen.attributes)
    assert set(re.findall(r"https?://[^\"' ]+", seen.scripts[1])) == {"http://www.w3.org/2000/svg"}


def test_the_command_writes_the_page(tmp_path):
    toy_loop(tmp_path / "toy").run()
    ended = evolve("replay", "toy", "--from", 3, "--html", tmp_path / "p.html", "--out", tmp_path)
    assert ended.returncode == 0, ended.stderr
    seen = Elements()
    seen.feed((tmp_path / "p.html").read_text())
    assert [s["number"] for s in json.loads(seen.scripts[0])["steps"]] == list(range(3, 21))
