"""One proposal in the making: what the nodes of the agent's graph read and write. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from agents.answers import Draft, ToolCall
from agents.experience import Parent
from agents.models.client import Reply
from agents.models.words import Message
from agents.persona_files import Role
from agents.verify import Fault
from evolve.contracts import History, Move, Tree

KEPT_OF_AN_ANSWER = 8_000
"""Characters of an answer that was refused, and of a tool's answer, that go back to the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One proposal in the making."""

    history: History
    seed: int
    role: Role | None = None
    move: Move = Move.EXPLORE
    parent: Parent | None = None
    models: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()
    reply: Reply | None = None
    said: Draft | ToolCall | None = None
    files: Tree = field(default_factory=dict[str, str])
    fault: Fault | None = None
    repairs: int = 0
    tool_calls: int = 0
    tokens: int = 0
    cost_usd: float = 0.0

    def told(self, text: str) -> tuple[Message, ...]:
        """The conversation with the last answer and what is said to it."""
        answer = self.reply.answer.text[:KEPT_OF_AN_ANSWER] if self.reply else ""
        return (*self.messages, Message(role="assistant", text=answer or "-"), Message(role="user", text=text))
