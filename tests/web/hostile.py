"""A run in which every text that a candidate, a model or a reviewer can write tries to be more than text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evolve.contracts import (
    Candidate,
    Evidence,
    Failed,
    History,
    Move,
    Observable,
    Outcome,
    Persona,
    Proposal,
    Scored,
    Verdict,
)
from evolve.review.desk import Desk
from tests.toys import Counting, Scoring, number_in, toy_loop, verdict

ATTACKS = (
    "<script>window.pwned=1</script>",
    "</script><script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    "<svg/onload=window.pwned=1>",
    "\"><body onload=window.pwned=1>",
    "' onmouseover='window.pwned=1",
    "javascript:window.pwned=1",
    "[click](javascript:window.pwned=1) ![x](http://192.0.2.1/x.png)",
    "<iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
    "{{ 7*7 }}{% for x in range(9) %}<b>{% endfor %}",
    "</title></style></textarea><h1>forged</h1>",
    "<a href=javascript:window.pwned=1>x</a><base href=//192.0.2.1/>",
    "<form action=http://192.0.2.1/><button>Approve</button></form>",
    "<meta http-equiv=refresh content='0;url=http://192.0.2.1/'>",
    "\u202egnp.exe\u2066\u0000\x1b[31m\u2028<!--",
    "<math><mtext><table><mglyph><style><img src=x onerror=window.pwned=1>",
)  # fmt: skip
NAME = "<script>window.pwned=1<"
"""What the run is called, and with it every branch of its pull requests."""


@dataclass
class Shouting(Counting):
    """Proposes with an attack in each field."""

    def propose(self, history: History, seed: int) -> Proposal | None:
        number = history.number
        if number > len(ATTACKS):
            return None
        text = ATTACKS[number - 1]
        files = {"model.py": f"X = {number}\n# {_line(text)}\n", f"{_line(text).replace('/', '_')} x.txt": text}
        return Proposal(
            parents=(history.champion.commit,), files=files, hypothesis=text, mechanism=text,
            observable=Observable(name=text, direction="up"), persona=Persona.REWARD, move=Move.EXPLORE, technique=text,
            proposer=text,
        )  # fmt: skip


@dataclass
class Answering(Scoring):
    """Scores with an attack in each text."""

    def judge(self, candidate: Candidate, reference: Candidate, observable: Observable | None) -> Outcome:
        text = ATTACKS[number_in(candidate.tree) - 1]
        seen = Evidence(
            sandbox=text, exit_reason=text, cpu_s=1.0, wall_s=1.0, peak_memory_bytes=1, stderr_tail=text,
            versions={text: text},
        )  # fmt: skip
        if number_in(candidate.tree) % 4 == 3:
            return Failed(rung=text, reason=text, detail=text * 3, cpu_s=1.0, evidence=seen)
        return Scored(
            rung="replicated", score=0.5, gain=number_in(candidate.tree) / 100, standard_error=0.001, seeds=3,
            metrics={"m": 0.5, text: 0.5}, observables={text: 1.0}, verdict=_said(text), promising=True, cpu_s=1.0,
            evidence=seen,
        )  # fmt: skip

    def confirm(self, challenger: Candidate, champion: Candidate, alpha: float) -> Verdict:
        return _said(ATTACKS[number_in(challenger.tree) - 1])


def write(runs: Path) -> None:
    """Makes the run, and reviews every third of its pull requests."""
    loop = toy_loop(runs / NAME, budget=len(ATTACKS), proposer=Shouting(), evaluator=Answering())
    loop.run()
    desk = Desk(NAME, loop.archive, loop._lineage, loop._journal)
    desk.open_all()
    for number, text in enumerate(ATTACKS[: len(loop.archive.promoted)], 1):
        desk.comment(number, text)
    loop._journal.close()


def _said(text: str) -> Verdict:
    plain = verdict("better", 0.02, 0.01)
    return Verdict(**{name: getattr(plain, name) for name in plain.__slots__} | {"reason": text})


def _line(text: str) -> str:
    return "".join(c for c in text if c.isprintable())
