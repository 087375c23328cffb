"""Tools over what the agent already holds: the journal in pages, cards and failures by words, a dry run of a diff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agents.diffs.answer import apply_answer
from agents.diffs.change import Refused
from agents.guards import read_guards
from agents.journal_text import journal_page
from agents.retrieve import documents, ranked
from agents.verify import verify
from evolve.contracts import History, SearchSpace

FOUND = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadJournal:
    """The journal in pages, the best first; implements `contracts.Tool`."""

    name: str = "read_journal"
    usage: str = "page (from 1): all attempts, sorted by gain, best first, a page at a time"

    def use(self, history: History, arguments: Mapping[str, str]) -> str:
        """One page."""
        page = arguments.get("page", "1")
        return journal_page(history, int(page) if page.isdecimal() else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieve:
    """Cards and failures: an index for a query, then one text by its name; implements `contracts.Tool`."""

    space: SearchSpace
    name: str = "retrieve"
    usage: str = "query (words): titles that fit, of technique cards and past failures; or name: one text whole"

    def use(self, history: History, arguments: Mapping[str, str]) -> str:
        """The text of `name`, else the titles that fit `query`."""
        texts = documents(self.space.techniques, history)
        wanted = arguments.get("name", "")
        whole = next((text for text in texts if text.name == wanted), None)
        if whole is not None:
            return whole.text
        found = ranked(f"{wanted} {arguments.get('query', '')}", texts, FOUND)
        return "\n".join(f"{text.name}: {text.title}" for text in found) or "Nothing fits; use other words."


@dataclass(frozen=True, slots=True, kw_only=True)
class Lint:
    """Whether a diff against the champion would apply, parse and pass the gate; implements `contracts.Tool`."""

    space: SearchSpace
    changed_lines: int
    name: str = "lint"
    usage: str = "diff (SEARCH/REPLACE blocks): whether it applies to the champion, parses and passes the static gate"

    def use(self, history: History, arguments: Mapping[str, str]) -> str:
        """`ok`, or what is wrong."""
        tree = history.champion.tree
        applied = apply_answer(arguments.get("diff", ""), tree, self.space.editable)
        if isinstance(applied, Refused):
            return applied.message
        fault = verify(
            applied.files,
            tree,
            history=history,
            gate=self.space.check,
            guards=read_guards(history),
            changed_lines=self.changed_lines,
        )
        return fault.message if fault else "ok"
