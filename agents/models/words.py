"""What is said to a model and what it answers, and the two seams: a provider, and the store of calls.

Knows no network, no file and no price list.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

BYTES_PER_TOKEN = 3
"""Our own estimate errs on the high side: tokenizers of today hold 3.3 to 4.5 bytes of English and code a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Everything that an answer may depend on; equal requests are one call.

    `schema` is the JSON schema of the wanted answer, as text; providers that know none leave it out.
    """

    model: str
    messages: tuple[Message, ...]
    seed: int
    temperature: float
    answer_tokens: int
    schema: str = ""

    @property
    def key(self) -> str:
        """sha256 of the request's canonical JSON: the call's address."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def prompt_tokens(self) -> int:
        """Our estimate."""
        return tokens_in("".join(message.text for message in self.messages)) + 8 * len(self.messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A model's answer. `version` is the model that the provider says it was; `flags` say what was odd about it.

    `prompt_tokens` and `answer_tokens` are the provider's, or our estimate where its own can't be true. `cost_usd` is
    the price of this answer and of the tries before it that may have been charged.
    """

    text: str
    version: str
    prompt_tokens: int
    answer_tokens: int
    cost_usd: float = 0.0
    latency_s: float = 0.0
    is_cut: bool = False
    flags: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Answer:
        """The answer as the store keeps it."""
        fields: dict[str, Any] = {**body, "flags": tuple(body["flags"])}
        return cls(**fields)

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.prompt_tokens + self.answer_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars a million tokens."""

    prompt: float
    answer: float

    def of(self, prompt_tokens: int, answer_tokens: int) -> float:
        """The cost in US dollars."""
        return (prompt_tokens * self.prompt + answer_tokens * self.answer) / 1e6


FREE = Price(prompt=0.0, answer=0.0)


class Provider(Protocol):
    """Answers requests for one or many models."""

    def price(self, model: str) -> Price | None:
        """The price of a model; None where it is not known, which never means free."""
        ...

    def ask(self, request: Request) -> Answer:
        """The answer; its `cost_usd` and `latency_s` are the caller's to fill. Raises ModelError."""
        ...


class CallStore(Protocol):
    """Keeps every call by its key, so that none is paid for twice."""

    def find(self, key: str) -> Mapping[str, Any] | None:
        """What came of the call, or None."""
        ...

    def begin(self, key: str, body: Mapping[str, Any]) -> None:
        """Says that the call is about to be made and what it may cost, should nothing be heard of it again."""
        ...

    def withdraw(self, key: str) -> None:
        """Takes `begin` back: the call was not made."""
        ...

    def keep(self, key: str, body: Mapping[str, Any]) -> None:
        """Keeps what came of the call."""
        ...

    def kept(self) -> Iterable[Mapping[str, Any]]:
        """Everything that was kept, in order."""
        ...

    def lost(self) -> Iterable[Mapping[str, Any]]:
        """What `begin` was told of calls of which nothing was heard again."""
        ...


def tokens_in(text: str) -> int:
    """Our estimate of a text's tokens."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)
