"""The report: one file that needs nothing else, at any moment of a run, whatever candidates say."""

from __future__ import annotations

import re

from evolve.lineage import Lineage
from evolve.report import write
from tests.toys import Counting, toy_loop

SCRIPT = "<script>alert('x')</script>"


def page(loop, tmp_path) -> str:
    return write(loop.archive, Lineage(tmp_path / "run" / "lineage.git"), tmp_path / "r.html").read_text()


def test_a_finished_run_is_told_whole(tmp_path):
    loop = toy_loop(tmp_path / "run")
    loop.run()
    text = page(loop, tmp_path)
    assert "champion #16" in text and "EASE" in text and "timed_out" in text
    assert "+X = 16" in text


def test_the_page_fetches_nothing(tmp_path):
    loop = toy_loop(tmp_path / "run", budget=3)
    loop.run()
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)\s*=", page(loop, tmp_path))


def test_what_candidates_say_is_shown_as_text(tmp_path):
    class Hostile(Counting):
        def propose(self, history, seed):
            from dataclasses import replace

            return replace(Counting().propose(history, seed), hypothesis=SCRIPT, technique=SCRIPT)

    loop = toy_loop(tmp_path / "run", budget=3, proposer=Hostile())
    loop.run()
    assert SCRIPT not in page(loop, tmp_path)


def test_a_run_without_any_attempt_has_a_page(tmp_path):
    loop = toy_loop(tmp_path / "run")
    loop._begin()
    assert "Not ended" in page(loop, tmp_path)
