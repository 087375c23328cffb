"""What each part of the agent's prompt is worth: the journal and its order, personas, retrieval, the model itself.

Seven runs of one space that differ from the first in one thing each: the journal sorted and whole (as it is), in order
of time, its best alone, none; one role for everything; no technique cards and no retrieval; another model. With models
at hand the runs are real, in the sandbox: `EVOLVE_ABLATION_MODELS=A,B` names them, else GGUF files of this machine are
taken. Without, a fixed list of answers, recorded from Qwen2.5-Coder-0.5B, goes through every form of the agent: that
shows that the harness works and no more, so its result never holds. An interrupted full run is continued.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from agents.catalog import CatalogProposer
from agents.journal_text import Form
from agents.models.local import files_in, is_installed
from agents.offline import OfflineAgent
from agents.persona_files import Role, read_roles
from agents.tools import Lint, ReadJournal, Retrieve
from benchmarks.common import Result, main, progress
from benchmarks.overhead import Trivial
from benchmarks.runs import PLACE
from evolve.agent_wiring import Agent, models_folder, open_agent, rates_of
from evolve.config import ModelConfig, StartConfig, cache_folder
from evolve.contracts import Persona, SearchSpace, Tool
from evolve.model_words import save, settings_of
from evolve.run_folder import RunFolder
from evolve.wiring import open_run
from search_spaces.space import LoadedSpace, load

SPACE, BUDGET, SEED = "video_ranking", 30, 0
NAMED = "EVOLVE_ABLATION_MODELS"
RECORDED = Path(__file__).parent / "data" / "ablation_answers.jsonl"
QUICK_PROPOSALS, RECORDED_PROPOSALS = 3, 10
ANYBODY = "You are an engineer of recommenders. You change whatever part of the parent holds it back."


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One form of the agent."""

    journal: Form = "sorted"
    personas: bool = True
    retrieval: bool = True
    model: int = 0

    def agent(
        self, space: SearchSpace, opened: Agent, model: str, more: Sequence[Tool] = (), *, falls_back: bool
    ) -> OfflineAgent:
        """The agent in this form."""
        assert isinstance(space, LoadedSpace)
        settings = replace(settings_of(ModelConfig(model=model), {model: 1.0}), journal=self.journal)
        seen = space if self.retrieval else replace(space, techniques=())
        tools: list[Tool] = [Lint(space=space, changed_lines=settings.changed_lines)]
        tools += [Retrieve(space=space)] if self.retrieval else []
        tools += more
        tools += [ReadJournal()] if self.journal in {"sorted", "whole"} else []
        everything = Role(persona=Persona.ARCHITECTURE, files=tuple(space.editable), text=ANYBODY)
        return OfflineAgent(
            name=model,
            space=seen,
            models=opened.models,
            weights={model: 1.0},
            roles=read_roles() if self.personas else {everything.persona: everything},
            tools=tools,
            fallback=CatalogProposer(space=space) if falls_back else None,
            settings=settings,
            report=progress,
        )


CONDITIONS: Mapping[str, Condition] = {
    "as it is": Condition(),
    "journal in order of time": Condition(journal="whole"),
    "the journal's best alone": Condition(journal="top"),
    "no journal": Condition(journal="none"),
    "one role": Condition(personas=False),
    "no retrieval": Condition(retrieval=False),
    "another model": Condition(model=1),
}


def models_at_hand() -> list[str]:
    """Those that are named, else files of this machine, the largest first."""
    if named := os.environ.get(NAMED):
        return named.split(",")
    if not is_installed():
        return []
    folder = models_folder()
    sizes = {name: (folder / name.removeprefix("local/")).stat().st_size for name in files_in(folder)}
    return sorted(sizes, key=lambda name: -sizes[name])


def real(name: str, condition: Condition, model: str) -> dict[str, Any]:
    """A whole run in the sandbox with a live model."""
    folder = RunFolder(PLACE / "ablation" / name.replace(" ", "-").replace("'", ""))
    folder.path.mkdir(parents=True, exist_ok=True)
    asked = ModelConfig(model=model)
    config = StartConfig(space=SPACE, seed=SEED, budget=BUDGET).checked()
    with open_agent(asked, folder, PLACE, progress) as opened:
        assert opened is not None
        agent = opened

        def proposer(space: SearchSpace, tools: Sequence[Tool]) -> OfflineAgent:
            return condition.agent(space, agent, model, tools, falls_back=True)

        save(asked, folder)
        with open_run(config, folder, cache_folder(), proposer=proposer, model_answers=True) as run:
            run.loop.run()
            gains = [a.outcome.gain for a in run.loop.archive.attempts if a.outcome.kind == "scored"]
    return {"model": model, **rates_of(folder), "best_gain": round(max(gains, default=0.0), 5)}


def recorded(name: str, condition: Condition, proposals: int, place: Path) -> dict[str, Any]:
    """The recorded answers through one form of the agent; candidates are not run, their scores are made up."""
    from evolve.journal import Journal
    from evolve.lineage import Lineage
    from evolve.loop import Loop, Settings
    from evolve.wiring import WallClock

    space, clock, folder = load(SPACE), WallClock(), RunFolder(place / name)
    folder.path.mkdir(parents=True)
    model = f"scripted/{RECORDED}"
    with open_agent(ModelConfig(model=model), folder, place, progress) as opened:
        assert opened is not None
        journal = Journal(folder.journal, clock)
        started = time.perf_counter()
        loop = Loop(
            settings=Settings(seed=SEED, workers=1, budget=proposals),
            started={"space": space.name},
            seed_tree=space.seed,
            gate=space.check,
            proposer=condition.agent(space, opened, model, falls_back=False),
            evaluator=Trivial(),
            lineage=Lineage(folder.lineage),
            journal=journal,
            clock=clock,
        )
        reason = loop.run()
        took = time.perf_counter() - started
        journal.close()
    found = rates_of(folder)
    return {
        "model": "recorded answers",
        "answers": found["answers"],
        "refused": found["refused"],
        "ended": reason,
        "seconds": round(took, 2),
    }


def measure(quick: bool) -> Result:
    """Live where a model is at hand and the run is full; else the recorded answers."""
    models = [] if quick else models_at_hand()
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, condition in CONDITIONS.items():
            progress(name)
            if not models:
                count = QUICK_PROPOSALS if quick else RECORDED_PROPOSALS
                rows[name] = recorded(name, condition, count, Path(scratch))
            elif condition.model < len(models):
                rows[name] = real(name, condition, models[condition.model])
    return result(rows, live=bool(models))


def result(rows: Mapping[str, Mapping[str, Any]], *, live: bool) -> Result:
    """What the sorted journal is worth: its share of effective answers less that without any."""
    with_it, without = rows["as it is"], rows["no journal"]
    difference, interval = 0.0, None
    if live:
        rng = np.random.default_rng(0)
        draws = _draws(with_it, rng) - _draws(without, rng)
        difference = float(with_it["effective"] or 0) - float(without["effective"] or 0)
        interval = (round(float(np.quantile(draws, 0.025)), 3), round(float(np.quantile(draws, 0.975)), 3))
    return Result(
        figure=round(difference, 3),
        unit="share of effective answers with the sorted journal, less that without a journal",
        interval=interval,
        goal="above 0 with 95 % confidence, with a live model; recorded answers show only that the harness works",
        holds=live and interval is not None and interval[0] > 0,
        details={"live": live, "conditions": rows},
    )


def _draws(row: Mapping[str, Any], rng: np.random.Generator) -> Any:
    paid = round(float(row["effective"] or 0) * row["answers"])
    return rng.beta(0.5 + paid, 0.5 + row["answers"] - paid, 10_000)


if __name__ == "__main__":
    main("agent_ablation", measure, __doc__ or "")
