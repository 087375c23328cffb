"""The tool `profile`: where a candidate's time went, from what was measured while it was judged. Measures nothing anew.

Seconds are the host's own, taken outside the sandbox, so they are no claim of the candidate's; for the same reason they
tell phases apart and not functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from evaluations.store import Walk
from evolve.contracts import Candidate, History, SearchSpace

WalkOf = Callable[[Candidate], Walk | None]
"""What the search measured of a candidate under its first seed, or None where nothing is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Implements `contracts.Tool`."""

    space: SearchSpace
    walk_of: WalkOf
    name: str = "profile"
    usage: str = (
        "candidate (a number; the champion where none is given): seconds of start, training and prediction on each "
        "rung as the host measured them, memory, and the seed's beside it"
    )

    def use(self, history: History, arguments: Mapping[str, str]) -> str:
        """The phases of a candidate and of the seed."""
        number = arguments.get("candidate", "").strip().removeprefix("#") or str(history.champion.number)
        known = {str(c.number): c for c in (history.seed, *(a.candidate for a in history.attempts), history.champion)}
        if number not in known:
            return f"There is no judged candidate `{number[:20]}`; give a number of the journal, or 0 for the seed."
        shown = {number: known[number], "0": history.seed}
        return "\n".join(line for candidate in shown.values() for line in self._lines(candidate))

    def _lines(self, candidate: Candidate) -> Iterator[str]:
        name = f"#{candidate.number}" if candidate.number else "The seed (#0)"
        walk = self.walk_of(candidate)
        if walk is None or not walk.measurements:
            why = f"it broke before anything was measured: {walk.fault.reason}" if walk and walk.fault else "none kept"
            yield f"{name}: no measurement ({why})."
            return
        seen = walk.evidence
        yield f"{name}, as judged in {seen.sandbox}; seconds that the host waited:"
        yield f"- start (sandbox, imports, reading data, judging): {max(0.0, seen.wall_s - walk.compute_s):.2f} s"
        yield from self._rungs(walk)
        memory = f"peak memory {seen.peak_memory_bytes / 2**20:.0f} MiB"
        yield f"- in all: {seen.wall_s:.2f} s, {seen.cpu_s:.2f} processor seconds, {memory}"

    def _rungs(self, walk: Walk) -> Iterator[str]:
        examples = {rung.name: rung.examples for rung in self.space.rungs}
        seen, compute_s, train_s = 0, 0.0, 0.0
        for found in walk.measurements:
            trained, new = found.train_s - train_s, examples[found.rung] - seen
            predicted = found.compute_s - compute_s - trained
            each = f" ({trained / new * 1e6:.1f} µs each)" if new > 0 else ""
            yield f"- {found.rung}: training {trained:.2f} s for {new} examples{each}, prediction {predicted:.2f} s"
            seen, compute_s, train_s = examples[found.rung], found.compute_s, found.train_s
