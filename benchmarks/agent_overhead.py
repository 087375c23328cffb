"""What the agent itself costs per proposal where the model answers at once, and its prompt over a long journal.

The model is a function of the prompt, so all of the time is ours: reading the history, choosing move, persona and
parent, building the prompt, LangGraph, parsing, applying the diff, the gate, novelty and the store of calls. Then the
prompt over a journal of 1,000 candidates: how long it takes to build, and how many tokens it has by a real tokenizer.
Times are processor time, which a busy machine does not change; the wall time of this run stands beside.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from agents import prompt
from agents.experience import read
from agents.guards import read_guards
from agents.models.client import Models
from agents.models.ledger import Budget
from agents.models.words import FREE, Answer, Price, Request, tokens_in
from agents.offline import AgentSettings, OfflineAgent
from agents.persona_files import read_roles
from agents.tools import Lint, ReadJournal, Retrieve
from benchmarks.common import Result, main, progress
from benchmarks.overhead import Trivial
from evolve.calls import CallFile
from evolve.contracts import Candidate, Failed, History, Move, Observable, Outcome, Proposal

GOAL_MS, GOAL_PROMPT_MS = 20.0, 50.0
ANCHOR = "from __future__ import annotations"


class Quick:
    """Adds a constant to the first file that the prompt allows; implements `words.Provider`."""

    def __init__(self) -> None:
        self.count = 0

    def price(self, model: str) -> Price | None:
        return FREE

    def ask(self, request: Request) -> Answer:
        self.count += 1
        path = (re.findall(r"change ([\w.]+)", request.messages[1].text) or ["train.py"])[-1]
        words = {
            "name": f"constant {self.count}",
            "hypothesis": f"constant {self.count} will pay " * 3,
            "mechanism": "it is there",
        }
        block = f"<<<<<<< SEARCH\n{ANCHOR}\n=======\n{ANCHOR}\n\nNUMBER_{self.count} = {self.count}\n>>>>>>> REPLACE\n"
        text = f"{json.dumps(words)}\n\n{path}\n{block}"
        return Answer(text=text, version="quick", prompt_tokens=request.prompt_tokens, answer_tokens=tokens_in(text))


class Timed:
    """A proposer that notes how long another one takes."""

    def __init__(self, inner: OfflineAgent) -> None:
        self._inner, self.name = inner, inner.name
        self.took: list[float] = []
        self.wall: list[float] = []

    def propose(self, history: History, seed: int) -> Proposal | None:
        start, wall = time.process_time(), time.perf_counter()
        proposal = self._inner.propose(history, seed)
        self.took.append(time.process_time() - start)
        self.wall.append(time.perf_counter() - wall)
        return proposal


class SomeFail(Trivial):
    """Every seventh candidate fails."""

    def judge(self, candidate: Candidate, reference: Candidate, observable: Observable | None) -> Outcome:
        if candidate.number % 7 == 0:
            reason = f"RuntimeError: mat1 and mat2 shapes cannot be multiplied ({candidate.number}x64)"
            return Failed(rung="smoke", reason=reason, detail="", cpu_s=0.0)
        return super().judge(candidate, reference, observable)


def driven(candidates: int) -> tuple[Timed, History]:
    """A proposer with the seconds of each proposal, and the history after the last."""
    from evolve.journal import Journal
    from evolve.lineage import Lineage
    from evolve.loop import Loop, Settings
    from evolve.wiring import WallClock
    from search_spaces.space import load

    space, clock = load("video_ranking"), WallClock()
    with tempfile.TemporaryDirectory() as folder:
        store = CallFile(Path(folder) / "calls.jsonl")
        asked = Models(provider=Quick(), store=store, budget=Budget(), clock=clock, sleep=time.sleep)
        tools = (ReadJournal(), Retrieve(space=space), Lint(space=space, changed_lines=80))
        agent = OfflineAgent(
            name="quick", space=space, models=asked, weights={"quick/model": 1.0}, roles=read_roles(), tools=tools
        )
        proposer = Timed(agent)
        journal = Journal(Path(folder) / "journal.jsonl", clock)
        loop = Loop(
            settings=Settings(seed=0, workers=1, budget=candidates),
            started={"space": space.name},
            seed_tree=space.seed,
            gate=space.check,
            proposer=proposer,
            evaluator=SomeFail(),
            lineage=Lineage(Path(folder) / "lineage.git"),
            journal=journal,
            clock=clock,
        )
        progress(loop.run())
        journal.close()
        store.close()
        return proposer, loop.archive.history()


def prompts(history: History, times: int) -> tuple[list[float], int, int]:
    """Seconds to build the prompt over a history, its tokens by a real tokenizer, and the budget."""
    import tiktoken

    from search_spaces.space import load

    space, settings = load("video_ranking"), AgentSettings()
    took: list[float] = []
    messages = ()
    experience = read(space, history)
    for number in range(times):
        situation = prompt.Situation(
            space=space, history=history, role=list(read_roles().values())[number % 3], move=Move.EXPLOIT,
            moves=experience.moves, parent=experience.parents[-1 - number], guards=read_guards(history),
            tools=(ReadJournal(),), steering=(), changed_lines=settings.changed_lines,
        )  # fmt: skip
        start = time.process_time()
        messages = prompt.build(situation, settings.prompt_tokens)
        took.append(time.process_time() - start)
    encoding = tiktoken.get_encoding("cl100k_base")
    tokens = len(encoding.encode("\n".join(message.text for message in messages), disallowed_special=()))
    return took, tokens, settings.prompt_tokens


def clear_caches() -> None:
    """What a resumed run begins with."""
    from agents import journal_text

    journal_text._file_diff.cache_clear()


def find_tokenizer() -> None:
    """tiktoken's table comes with LiteLLM; nothing is fetched."""
    spec = importlib.util.find_spec("litellm")
    assert spec is not None and spec.origin is not None
    table = Path(spec.origin).parent / "litellm_core_utils" / "tokenizers"
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(table))


def measure(quick: bool) -> Result:
    find_tokenizer()
    proposer, history = driven(40 if quick else 1001)
    took, first = proposer.took[1:], proposer.took[0]
    median_ms = float(statistics.median(took)) * 1e3
    clear_caches()
    built, tokens, budget = prompts(history, 5 if quick else 30)
    prompt_ms = max(built) * 1e3
    rng = np.random.default_rng(0)
    resampled = [float(np.median(rng.choice(took, len(took)))) * 1e3 for _ in range(2000)]
    fits = tokens <= budget
    return Result(
        figure=round(median_ms, 2),
        unit="ms of processor time per proposal",
        interval=(round(float(np.quantile(resampled, 0.025)), 2), round(float(np.quantile(resampled, 0.975)), 2)),
        goal=f"median under {GOAL_MS} ms over 1,000 proposals; the prompt over 1,000 candidates under "
        f"{GOAL_PROMPT_MS} ms and within its tokens",
        holds=bool(median_ms < GOAL_MS and prompt_ms < GOAL_PROMPT_MS and fits),
        details={
            "proposals": len(took),
            "wall_ms": round(float(statistics.median(proposer.wall[1:])) * 1e3, 2),
            "first_ms": round(first * 1e3, 1),
            "last_hundred_ms": round(float(statistics.median(took[-100:])) * 1e3, 2),
            "p90_ms": round(float(np.quantile(took, 0.9)) * 1e3, 2),
            "prompt_first_and_slowest_ms": round(prompt_ms, 2),
            "prompt_median_ms": round(float(statistics.median(built)) * 1e3, 2),
            "prompt_tokens": tokens,
            "prompt_budget": budget,
        },
    )


if __name__ == "__main__":
    main("agent_overhead", measure, __doc__ or "")
