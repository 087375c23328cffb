"""Models without a network: answers from a list, and answers that an earlier run recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agents.models.words import FREE, Answer, CallStore, Price, Request, tokens_in
from evolve.errors import BudgetExhausted, ModelError, RunError, UsageError

SEPARATOR = "%%%%"


class ScriptedModel:
    """Gives the answers of a list in their order, one for each call that the store has not seen."""

    def __init__(self, answers: Sequence[str], store: CallStore) -> None:
        self._answers = answers
        self._next = sum(1 for body in store.kept() if "request" in body)

    def price(self, model: str) -> Price | None:
        """Nothing."""
        return FREE

    def ask(self, request: Request) -> Answer:
        """The next answer. Raises BudgetExhausted after the last."""
        if self._next >= len(self._answers):
            raise BudgetExhausted(f"the script of {len(self._answers)} answers has come to its end")
        text = self._answers[self._next]
        self._next += 1
        return Answer(text=text, version="scripted", prompt_tokens=request.prompt_tokens, answer_tokens=tokens_in(text))


class ReplayedModel:
    """Gives what an earlier run recorded; what it never asked is an error, not a guess."""

    def __init__(self, recorded: CallStore) -> None:
        self._recorded = recorded

    def price(self, model: str) -> Price | None:
        """Nothing: it was paid for when it was recorded."""
        return FREE

    def ask(self, request: Request) -> Answer:
        """The recorded answer with its cost, or the recorded failure as a ModelError. Raises RunError."""
        body: Mapping[str, Any] | None = self._recorded.find(request.key)
        if body is None:
            raise RunError(
                f"the recorded run never asked this of {request.model} (call {request.key[:12]})",
                hint="Replay with the same space, seed, workers, budget and version of evolve as the recorded run.",
            )
        if body["failure"] is not None:
            raise ModelError(body["failure"])
        return Answer.from_json(body["answer"])


def read_script(text: str, *, is_json_lines: bool) -> list[str]:
    """The answers of a script: a JSON string (or an object with `answer`) a line, or texts between lines of `%%%%`.

    Raises:
        UsageError: a line is neither.
    """
    if not is_json_lines:
        parts = f"\n{text}".split(f"\n{SEPARATOR}\n")
        return [part.removeprefix("\n") for part in parts]
    answers: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            answers.append(value if isinstance(value, str) else value["answer"])
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"line {number} of the script is no answer ({error})",
                hint='Write a JSON string, or {"answer": "..."}, on each line.',
            ) from error
    return answers
