"""The catalogue as a model: reads the prompt that any model gets, and answers with a card's edit as a diff.

So it can be mixed with models by weight, be the one that is left when they are down, and be recorded and replayed as
they are. Its answer follows from the messages and the cards alone. Knows no network; LiteLLM calls it.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agents import edits
from agents.models.words import tokens_in
from evolve.contracts import Technique, Tree

PROVIDER = "catalog"
MODEL = f"{PROVIDER}/techniques"
FILE = re.compile(
    r"^### (?P<path>\S+)(?: \(may not be changed\))?\n```python\n(?P<text>.*?)```$", re.DOTALL | re.MULTILINE
)
CARD = re.compile(r"^- .* \[(?P<name>\w+)\](?P<tried> \(tried\))?$", re.MULTILINE)
TURN = re.compile(r"^Proposal \d+: as \w+, change (?P<paths>.+?) of the\s+parent, at most", re.MULTILINE)
CONTEXT = 2
"""Unchanged lines around a change; more where fewer are not unique."""


@dataclass(slots=True)
class CatalogModel:
    """Answers prompts over the cards of one space."""

    techniques: Sequence[Technique] = field(default_factory=tuple)

    def answer(self, messages: Sequence[dict[str, str]]) -> str:
        """The next card that fits the parent, those that were not tried first; another one after each refusal."""
        prompt = next((m["content"] for m in messages if m["role"] == "user"), "")
        refusals = sum(m["role"] == "assistant" for m in messages)
        fitting = self._fitting(prompt)
        if refusals >= len(fitting):
            return "No card of the catalogue fits here."
        technique, before, after = fitting[refusals]
        words = {"name": technique.name, "hypothesis": technique.hypothesis, "mechanism": technique.mechanism}
        if technique.observable:
            words["observable"] = f"{technique.observable.name} {technique.observable.direction}"
        blocks = [block(path, before[path], text) for path, text in after.items() if before[path] != text]
        return "\n\n".join([json.dumps(words), *blocks]) + "\n"

    def _fitting(self, prompt: str) -> list[tuple[Technique, Tree, Tree]]:
        head, _, parent = prompt.partition("\n## Parent: ")
        tree = {found["path"]: found["text"] for found in FILE.finditer(parent)}
        turn = TURN.search(parent)
        editable = set(turn["paths"].split(", ")) if turn else set[str]()
        cards = {found["name"]: bool(found["tried"]) for found in CARD.finditer(head)}
        mine = [technique for technique in self.techniques if technique.name in cards]
        random.Random(hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).digest()).shuffle(mine)
        mine.sort(key=lambda technique: cards[technique.name])
        found: list[tuple[Technique, Tree, Tree]] = []
        for technique in mine:
            after = edits.apply(tree, technique)
            changed = {path for path in after or {} if tree[path] != (after or {})[path]}
            if after is not None and changed and changed <= editable:
                found.append((technique, tree, after))
        return found

    def handler(self) -> Any:
        """Itself as LiteLLM asks custom providers."""
        from litellm.llms.custom_llm import CustomLLM
        from litellm.types.utils import Choices, Message, Usage

        answer = self.answer

        class Handler(CustomLLM):
            def completion(self, *args: Any, **asked: Any) -> Any:
                messages, response = asked["messages"], asked["model_response"]
                text = answer(messages)
                counts = tokens_in("".join(m["content"] for m in messages)), tokens_in(text)
                response.choices = [Choices(index=0, finish_reason="stop", message=Message(content=text))]
                response.usage = Usage(prompt_tokens=counts[0], completion_tokens=counts[1], total_tokens=sum(counts))
                return response

        return Handler()


def block(path: str, before: str, after: str) -> str:
    """One SEARCH/REPLACE block from the first changed line to the last, with as many around as make it unique."""
    old, new = before.removesuffix("\n").split("\n"), after.removesuffix("\n").split("\n")
    same = min(len(old), len(new))
    start = next((i for i in range(same) if old[i] != new[i]), same)
    end = next((i for i in range(same - start) if old[-1 - i] != new[-1 - i]), same - start)
    first, last = max(0, start - CONTEXT), max(0, end - CONTEXT)
    while first > 0 or last > 0:
        search = old[first : len(old) - last]
        if any(line.strip() for line in search) and _places(old, search) == 1:
            break
        first, last = max(0, first - 1), max(0, last - 1)
    lines = [path, "<<<<<<< SEARCH", *old[first : len(old) - last], "======="]
    return "\n".join([*lines, *new[first : len(new) - last], ">>>>>>> REPLACE"])


def _places(lines: Sequence[str], search: Sequence[str]) -> int:
    plain, wanted = [line.strip() for line in lines], [line.strip() for line in search]
    return sum(plain[i : i + len(wanted)] == wanted for i in range(len(plain) - len(wanted) + 1))
