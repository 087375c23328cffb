"""The offline agent: observe -> think -> code -> verify, with an edge back for tools and one for repairs, both bounded.

LangGraph holds the flow; the state is one frozen value and lives for one proposal, so the journal stays the only
truth. A proposal follows from the history, the seed and what the models answered. Runs no code.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from agents import brief, prompt
from agents.answers import SCHEMA, Draft, ToolCall, read_answer
from agents.catalog import by_deficit
from agents.diffs.answer import apply_answer
from agents.diffs.change import Refused
from agents.experience import Experience, Parent, read
from agents.graph import build
from agents.guards import read_guards
from agents.journal_text import Form
from agents.model_choice import ordered
from agents.models.client import Models
from agents.persona_files import Role
from agents.turn import KEPT_OF_AN_ANSWER, Turn
from agents.verify import Fault, verify
from evolve.contracts import History, Move, Persona, Proposal, Proposer, SearchSpace, Tool
from evolve.errors import ModelError

ROUNDS = 2
"""So many conversations are begun for one proposal before the fallback makes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """How the agent works."""

    prompt_tokens: int = 24_000
    answer_tokens: int = 4_096
    temperature: float = 0.8
    repairs: int = 2
    tool_calls: int = 3
    changed_lines: int = 80
    journal: Form = "sorted"


SMALL = AgentSettings(prompt_tokens=3_000, answer_tokens=600, temperature=0.5, repairs=1)
"""For a model of about a billion parameters on a processor: it loses its way in more, and takes minutes to read it."""


class OfflineAgent:
    """Proposes with language models; implements `contracts.Proposer`.

    Args:
        weights: model -> its prior weight.
        steering: what a person asked for, as of a proposal's number.
        fallback: proposes where no model gave anything usable.
    """

    def __init__(
        self,
        *,
        name: str,
        space: SearchSpace,
        models: Models,
        weights: Mapping[str, float],
        roles: Mapping[Persona, Role],
        tools: Sequence[Tool] = (),
        steering: Callable[[int], Sequence[str]] = lambda number: (),
        fallback: Proposer | None = None,
        settings: AgentSettings | None = None,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.name = name
        self._space, self._models, self._weights = space, models, weights
        self._roles = {p: role for p, role in roles.items() if role.editable(space.editable)}
        self._tools = {tool.name: tool for tool in tools}
        self._steering, self._fallback, self._report = steering, fallback, report
        self._settings = settings or AgentSettings()
        self._experience: Experience | None = None
        self._one = threading.Lock()
        """The index and the fallback are for one thread at a time; models are asked by several."""

    def propose(self, history: History, seed: int) -> Proposal | None:
        """The next proposal: of a model, else of the fallback."""
        for round_ in range(ROUNDS):
            try:
                turn: Turn = self.graph.invoke({"turn": Turn(history=history, seed=seed + round_)})["turn"]
            except ModelError as error:
                self._report(f"no model answers ({error.message})")
                break
            if turn.fault is None:
                return self._proposal(turn)
        with self._one:
            return self._fallback.propose(history, seed) if self._fallback else None

    @cached_property
    def graph(self) -> Any:
        """The compiled graph."""
        return build(self)

    # --- nodes -------------------------------------------------------------------------------

    def observe(self, turn: Turn) -> Turn:
        """Reads the history: whose turn it is, which move is due, which parent, and what the model is told."""
        with self._one:
            return self._observed(turn, self._indexed(turn.history))

    def _observed(self, turn: Turn, experience: Experience) -> Turn:
        history = turn.history
        rng = np.random.default_rng([turn.seed % 2**63, history.number])
        move, persona = self._due(experience, ahead(history))
        role = self._roles[persona]
        parent = _parent(experience, history, move, rng)
        situation = prompt.Situation(
            space=self._space,
            history=history,
            role=role,
            move=move,
            moves=experience.moves,
            parent=parent,
            guards=read_guards(history),
            tools=tuple(self._tools.values()),
            steering=self._steering(history.number),
            changed_lines=self._settings.changed_lines,
            journal=self._settings.journal,
        )
        tokens = self._settings.prompt_tokens
        messages = (brief if tokens < brief.UNDER else prompt).build(situation, tokens)
        models = tuple(ordered(self._weights, history, role.persona, rng))
        return replace(turn, role=role, move=move, parent=parent, messages=messages, models=models)

    def think(self, turn: Turn) -> Turn:
        """Asks a model."""
        settings = self._settings
        reply = self._models.ask(
            turn.models,
            turn.messages,
            seed=turn.seed % 2**31,
            temperature=settings.temperature,
            answer_tokens=settings.answer_tokens,
            schema=SCHEMA,
        )
        tokens, cost = turn.tokens + reply.answer.tokens, turn.cost_usd + reply.answer.cost_usd
        return replace(turn, reply=reply, said=read_answer(reply.answer.text), tokens=tokens, cost_usd=cost)

    def use_tool(self, turn: Turn) -> Turn:
        """Lets the model look something up; the answer goes back as data."""
        call = turn.said
        assert isinstance(call, ToolCall) and turn.reply is not None
        self._models.note(turn.reply.key, f"tool {call.tool[:40]}")
        tool = self._tools.get(call.tool)
        if tool is None:
            text = f"There is no tool {call.tool[:40]!r}; there are: {', '.join(self._tools) or 'none'}."
        else:
            text = prompt.data(self._looked_up(turn, tool, call)[:KEPT_OF_AN_ANSWER])
        left = self._settings.tool_calls - turn.tool_calls - 1
        text += f"\nTool calls left: {left}." + ("" if left else " Now propose.")
        return replace(turn, messages=turn.told(text), tool_calls=turn.tool_calls + 1)

    def code(self, turn: Turn) -> Turn:
        """Turns the answer's diff into files."""
        assert turn.reply is not None and turn.parent is not None and turn.role is not None
        if isinstance(turn.said, ToolCall):
            return replace(turn, fault=Fault(kind="tool_loop", message="no tool call is left; propose a change now."))
        if turn.reply.answer.is_cut:
            words = "the answer was cut off at its greatest length; give a shorter one."
            return replace(turn, fault=Fault(kind="cut", message=words))
        assert turn.said is not None
        if turn.said.move and turn.said.move != turn.move.value:
            words = f"the move due is {turn.move.value}, not {turn.said.move}; propose {prompt.MOVES[turn.move]}."
            return replace(turn, fault=Fault(kind="quota", message=words))
        tree = turn.parent.candidate.tree
        applied = apply_answer(turn.said.diff, tree, turn.role.editable(self._space.editable))
        if isinstance(applied, Refused):
            return replace(turn, fault=Fault(kind=applied.fault.value, message=applied.message))
        return replace(turn, files=applied.files, fault=None)

    def verify(self, turn: Turn) -> Turn:
        """Checks the files without running them."""
        assert turn.reply is not None and turn.parent is not None
        fault = verify(
            turn.files,
            turn.parent.candidate.tree,
            history=turn.history,
            gate=self._space.check,
            guards=read_guards(turn.history),
            changed_lines=self._settings.changed_lines,
        )
        if fault is None:
            self._models.note(turn.reply.key, "accepted")
        return replace(turn, fault=fault)

    def repair(self, turn: Turn) -> Turn:
        """Gives the exact fault back to the model."""
        assert turn.fault is not None and turn.reply is not None
        self._models.note(turn.reply.key, turn.fault.kind)
        # The message may quote what an earlier candidate said.
        text = f"Your answer was not used:\n{prompt.data(turn.fault.message)}\nAnswer again in the same form, whole."
        return replace(turn, messages=turn.told(text), repairs=turn.repairs + 1)

    # --- edges -------------------------------------------------------------------------------

    def wants_tool(self, turn: Turn) -> bool:
        """Whether the answer asks for a tool, and one is left."""
        return isinstance(turn.said, ToolCall) and turn.tool_calls < self._settings.tool_calls

    def may_repair(self, turn: Turn) -> bool:
        """Whether the fault goes back to the model."""
        return turn.repairs <= self._settings.repairs

    # --- small parts -------------------------------------------------------------------------

    def _indexed(self, history: History) -> Experience:
        """The history's index: of the last proposal where this history continues that one's."""
        known = self._experience
        if known is None or not known.follows(history):
            known = self._experience = read(self._space, history)
        known.follow(history)
        return known

    def _looked_up(self, turn: Turn, tool: Tool, call: ToolCall) -> str:
        assert turn.reply is not None
        return self._models.looked_up(turn.reply.key, tool.name, lambda: tool.use(turn.history, call.arguments))

    def _due(self, experience: Experience, before: int) -> tuple[Move, Persona]:
        """The move furthest behind its quota and the persona that proposed least, when `before` others are at it."""
        moves, personas = Counter(experience.moves), Counter(experience.personas)
        for _ in range(before):
            moves[by_deficit(moves)[0]] += 1
            personas[min(self._roles, key=lambda one: personas[one])] += 1
        return by_deficit(moves)[0], min(self._roles, key=lambda one: personas[one])

    def _proposal(self, turn: Turn) -> Proposal:
        draft, reply, parent, role = turn.said, turn.reply, turn.parent, turn.role
        assert isinstance(draft, Draft) and reply is not None and parent is not None and role is not None
        name = re.sub(r"[^a-z0-9_]+", "-", draft.name.lower()).strip("-")[:40]
        return Proposal(
            parents=(parent.candidate.commit,),
            files=turn.files,
            hypothesis=draft.hypothesis or draft.name or "The model gave no hypothesis.",
            mechanism=draft.mechanism or "The model gave no mechanism.",
            observable=draft.observable,
            persona=role.persona,
            move=turn.move,
            technique=name or "unnamed",
            proposer=reply.model,
            tokens=turn.tokens,
            cost_usd=turn.cost_usd,
        )


def ahead(history: History) -> int:
    """How many proposals are being thought of before this one, in the same history."""
    return max(0, history.number - 1 - len(history.attempts) - len(history.pending))


def _parent(experience: Experience, history: History, move: Move, rng: np.random.Generator) -> Parent:
    """The champion where something new is tried; else a draw among the good ones."""
    best = experience.parents[int(np.argmax(experience.draws(history, rng)))]
    if move is not Move.EXPLORE:
        return best
    return next((p for p in experience.parents if p.candidate.commit == history.champion.commit), best)
