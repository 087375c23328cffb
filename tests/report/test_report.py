"""The page of a run: whole, self-contained, and safe to open whatever a candidate wrote."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evolve import records
from evolve.archive import Archive
from evolve.contracts import (
    Failed,
    FinalResult,
    Move,
    NoiseFloor,
    Outcome,
    Persona,
    Proposal,
    Scored,
    TimedOut,
    Verdict,
)
from evolve.error_budget import alpha_of
from evolve.errors import RunError
from evolve.journal import Record
from evolve.lineage import Lineage
from evolve.report import figures, write

ATTACK = "</script><script>alert(1)</script>"
SEED = {"model.py": "WIDTH = 16\n"}


class Run:
    """A run written by hand, one record at a time."""

    def __init__(self, folder: Path) -> None:
        self.lineage = Lineage(folder / "lineage.git")
        self.archive = Archive(self.lineage)
        self.commits = [self.lineage.commit(0, SEED, (), "seed")]
        self.page = folder / "report.html"

    def apply(self, kind: str, body: dict) -> None:
        self.archive.apply(Record(number=0, kind=kind, body=body, at=0.0, hash=""))

    def start(self) -> None:
        versions = {"python": "3.11.7"}
        settings = {"space": "toy", "seed": 7, "budget": 3, "sandbox": "local", "metric": "ndcg@10"}
        self.apply("started", {**settings, "versions": versions, "seed_commit": self.commits[0]})

    def measure_floor(self) -> None:
        floor = {"metric": "ndcg@10", "score": 0.12, "short_score": 0.1, "seed_sd": 0.003, "paired_se": 0.003}
        self.apply("floor", records.floor_to_json(NoiseFloor(**floor, minimum_effect=0.0031, seeds=4, cpu_s=16.0)))

    def propose(self, technique: str, text: str, parent: int = 0, hypothesis: str = "wider is better") -> None:
        number = len(self.commits)
        parents = (self.commits[parent],)
        self.commits.append(self.lineage.commit(number, {"model.py": text}, parents, technique))
        proposal = Proposal(
            parents=parents,
            files={},
            hypothesis=hypothesis,
            mechanism="",
            observable=None,
            persona=Persona.ARCHITECTURE,
            move=Move.EXPLORE,
            technique=technique,
            proposer="hand",
        )
        body = {"number": number, "commit": self.commits[number], "reference": 0}
        self.apply("proposed", {**body, "proposal": records.proposal_to_json(proposal)})

    def judge(self, number: int, outcome: Outcome) -> None:
        self.apply("judged", {"number": number, "outcome": records.outcome_to_json(outcome)})

    def confirm(self, number: int) -> None:
        body = {"number": number, "against": 0, "promoted": True}
        self.apply("confirmed", {**body, "verdict": records.verdict_to_json(verdict(alpha_of(0)))})

    def finish(self) -> None:
        rows = {"seed": {"ndcg@10": 0.0604}, "champion": {"ndcg@10": 0.1029}, "EASE": {"ndcg@10": 0.0737}}
        final = FinalResult(metric="ndcg@10", rows=rows, verdict=verdict(0.025), cpu_s=19.0)
        self.apply("final", records.final_to_json(final))
        self.apply("ended", {"reason": "the budget of 3 proposals is spent"})

    def written(self) -> str:
        return write(self.archive, self.lineage, self.page).read_text(encoding="utf-8")


def verdict(alpha: float) -> Verdict:
    numbers = {"effect": 0.036, "low": 0.0226, "high": 0.0494, "p": 1e-9}
    rest = {"alpha": alpha, "users": 475, "seeds": 4, "reason": "the interval is above zero"}
    return Verdict(decision="better", metric="ndcg@10", **numbers, **rest)


def scored(gain: float) -> Scored:
    return Scored(
        rung="replicated",
        score=0.12 + gain,
        gain=gain,
        standard_error=0.005,
        seeds=3,
        metrics={},
        observables={},
        verdict=verdict(0.1),
        promising=True,
        cpu_s=13.0,
    )


def failed() -> Failed:
    return Failed(rung="smoke", reason=f"raised {ATTACK}", detail="", cpu_s=1.0)


@pytest.fixture
def empty(tmp_path) -> Run:
    run = Run(tmp_path)
    run.start()
    return run


@pytest.fixture
def whole(empty) -> Run:
    """The seed, a promoted candidate, a failed one full of markup, and one that timed out."""
    empty.measure_floor()
    empty.propose("prenorm", "WIDTH = 32\n")
    empty.judge(1, scored(0.0318))
    empty.confirm(1)
    empty.propose(f"evil {ATTACK}", "WIDTH = 64\n", parent=1, hypothesis=f"trust me {ATTACK}")
    empty.judge(2, failed())
    empty.propose("slow", "WIDTH = 128\n")
    empty.judge(3, TimedOut(rung="short", reason="no answer in 60 s", limit_s=60.0, cpu_s=60.0))
    empty.finish()
    return empty


def without_scripts(page: str) -> str:
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_the_page_loads_nothing_from_elsewhere(whole):
    """No script, style, image or font comes from a network; plotly is inlined once."""
    page = whole.written()
    assert not re.search(r"<(script|link|img|iframe|source)[^>]*\b(src|href)\s*=\s*[\"']?(https?:)?//", page)
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//|@import|url\(", without_scripts(page))
    assert page.count("plotly.js v") == 1


def test_text_of_a_candidate_never_becomes_markup(whole):
    """Neither in the tables nor inside the charts' scripts."""
    page = whole.written()
    assert ATTACK not in page
    assert "<script>alert(1)" not in page
    assert "raised &lt;/script&gt;&lt;script&gt;alert(1)" in page
    assert "trust me &lt;/script&gt;" in page


def test_a_technique_with_markup_in_its_name_is_escaped_in_the_charts(whole):
    """Charts show names of techniques that scored."""
    whole.propose(ATTACK, "WIDTH = 256\n", parent=1)
    whole.judge(4, scored(0.04))
    page = whole.written()
    assert {p.technique for p in figures.payoffs(whole.archive)} >= {ATTACK, "prenorm"}
    assert "<script>alert(1)" not in page


def test_the_page_tells_the_whole_run(whole):
    """Champion, diff, error budget, test set, versions and outcomes are all there."""
    text = re.sub(r"\s+", " ", without_scripts(whole.written()))
    for expected in (
        "#1 prenorm",
        "+0.0318 ± 0.0098",
        "-WIDTH = 16",
        "+WIDTH = 32",
        "Error budget spent: 0.0050 of 0.05, in 1 look at",
        "EASE",
        "0.1029",
        "3.11.7",
        "timed out",
        "no answer in 60 s",
        "Ended: the budget of 3 proposals is spent.",
        "109 CPU s",
        "evolve start --space toy --seed 7 --budget 3 --sandbox local",
    ):
        assert expected in text, expected


def test_the_funnel_counts_every_candidate_at_each_rung_it_reached(whole):
    """One failed at smoke, one timed out at short, one went through."""
    rows = dict(figures.funnel_rows(whole.archive))
    assert rows["smoke"] == {"failed": 1, "went on": 2}
    assert rows["short"] == {"timed_out": 1, "went on": 1}
    assert rows["replicated"] == {"scored": 1, "went on": 0}
    assert rows["confirmation"] == {"promoted": 1, "not promoted": 0}


def test_a_technique_is_paid_for_what_it_adds_to_its_parent(whole):
    """A child that only keeps its parent's gain has earned nothing."""
    whole.propose("nothing", "WIDTH = 33\n", parent=1)
    whole.judge(4, scored(0.0318))
    paid = {p.technique: p for p in figures.payoffs(whole.archive)}
    assert paid["nothing"].mean == pytest.approx(0.0)
    assert paid["prenorm"].mean == pytest.approx(0.0318)
    assert paid["slow"].scored == 0 and paid["slow"].broken == 1


def test_a_run_without_attempts_has_a_page(empty):
    """Before the floor, after it, and with a candidate that waits."""
    assert "No candidate has a score yet." in empty.written()
    empty.measure_floor()
    assert "0.0031" in empty.written()
    empty.propose("prenorm", "WIDTH = 32\n")
    assert "waiting" in empty.written()


def test_a_run_of_failures_has_a_page(empty):
    """The funnel stands though nothing has a score."""
    empty.measure_floor()
    empty.propose("evil", "WIDTH = 64\n")
    empty.judge(1, failed())
    page = empty.written()
    assert "No candidate has a score yet." in page
    assert 'id="funnel"' in page
    assert page.count("plotly.js v") == 1


def test_a_page_depends_on_the_run_alone_and_replaces_the_old_one(whole):
    """Twice the same bytes, and nothing is left beside the page."""
    assert whole.written() == whole.written()
    assert sorted(path.name for path in whole.page.parent.iterdir()) == ["lineage.git", "report.html"]


def test_a_run_that_never_started_is_an_error(tmp_path):
    """There is no space and no seed to tell of."""
    run = Run(tmp_path)
    with pytest.raises(RunError, match="no start"):
        run.written()
