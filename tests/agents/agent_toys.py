"""An agent over the toy search of `tests.toys`: scripted answers, a real store, a real journal, real git."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from agents.models.client import Models
from agents.models.ledger import Budget
from agents.models.offline import ScriptedModel
from agents.models.words import Answer, Price, Provider, Request, tokens_in
from agents.offline import AgentSettings, OfflineAgent
from agents.persona_files import Role
from evolve.calls import CallFile
from evolve.contracts import Persona, Proposer, Tool, Tree
from evolve.errors import ModelError
from evolve.journal import Journal
from evolve.lineage import Lineage
from evolve.loop import Loop, Settings
from search_spaces.space import LoadedSpace
from tests.agents.toy_space import toy_space
from tests.toys import STARTED, Counting, Scoring, Ticking

SEED = {"model.py": "# here\nX = 0\n", "harness.py": "SECRET = 1\n"}
ROLES = {p: Role(persona=p, files=("model.py",), text=f"You are {p.value}.") for p in list(Persona)[:2]}


def space(gate: Callable[[Tree], str | None] = lambda tree: None) -> LoadedSpace:
    class Toy(LoadedSpace):
        def check(self, tree: Tree) -> str | None:
            return gate(tree)

    plain = toy_space(1, tunable=False, techniques=())
    fields = {name: getattr(plain, name) for name in LoadedSpace.__slots__}
    return Toy(**{**fields, "seed": SEED, "editable": ("model.py",)})


def diff(number: int) -> str:
    return f"model.py\n<<<<<<< SEARCH\n# here\n=======\n# here\nX = {number}\n>>>>>>> REPLACE\n"


def answer(number: int, **changes: object) -> str:
    words = {"name": f"number {number}", "hypothesis": f"{number} is better", "mechanism": "more is more", **changes}
    return json.dumps(words) + "\n\n" + diff(number)


class Flaky:
    """Answers a function of the request; counts what it served. What it returns may be an exception to raise."""

    def __init__(self, answers: Callable[[int, Request], str | Exception], price: Price | None = None) -> None:
        self._answers, self._price = answers, price or Price(prompt=1.0, answer=2.0)
        self.served: list[Request] = []

    def price(self, model: str) -> Price | None:
        return self._price

    def ask(self, request: Request) -> Answer:
        self.served.append(request)
        said = self._answers(len(self.served), request)
        if isinstance(said, Exception):
            raise said
        return Answer(text=said, version="toy-1", prompt_tokens=100, answer_tokens=tokens_in(said))


def down(**changes: object) -> ModelError:
    return ModelError("it is down", **{"transient": True, **changes})


def models(folder: Path, provider: Provider | Callable[[CallFile], Provider], **changes: object) -> Models:
    folder.mkdir(parents=True, exist_ok=True)
    store = CallFile(folder / "calls.jsonl")
    made = provider(store) if callable(provider) else provider
    waits: list[float] = []
    asked = Models(
        **{"provider": made, "store": store, "budget": Budget(), "clock": Ticking(), "sleep": waits.append, **changes}
    )
    asked.waits = waits
    return asked


def scripted(answers: Sequence[str]) -> Callable[[CallFile], Provider]:
    return lambda store: ScriptedModel(answers, store)


def agent(asked: Models, *, fallback: Proposer | None = None, tools: Sequence[Tool] = (), **changes: object):
    given = {"weights": {"toy/model": 1.0}, "roles": ROLES, "settings": AgentSettings(), "space": space(), **changes}
    return OfflineAgent(name="toy/model", models=asked, tools=tools, fallback=fallback, **given)


def run(folder: Path, proposer: Proposer, *, budget: int = 10, workers: int = 1, thinking: int = 0) -> Loop:
    """A whole run, new or continued; its journal is closed."""
    folder.mkdir(parents=True, exist_ok=True)
    clock = Ticking()
    journal = Journal(folder / "journal.jsonl", clock)
    loop = Loop(
        settings=Settings(seed=0, workers=workers, budget=budget, thinking=thinking),
        started={**STARTED, "proposer": proposer.name},
        seed_tree=SEED,
        gate=lambda tree: None,
        proposer=proposer,
        evaluator=Scoring(),
        lineage=Lineage(folder / "lineage.git"),
        journal=journal,
        clock=clock,
    )
    loop.reason = loop.run()
    journal.close()
    return loop


def commits(loop: Loop) -> list[str]:
    return [candidate.commit for candidate in loop.archive.candidates]


class Fallback(Counting):
    """The catalogue's place in the toy search."""

    def propose(self, history, seed):
        proposal = super().propose(history, seed)
        from dataclasses import replace

        return proposal and replace(
            proposal, files={"model.py": f"# here\nX = {1000 + history.number}\n"}, proposer="catalog"
        )
