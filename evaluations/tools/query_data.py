"""The tool `query_data`: read-only SQL over the training split and the journal, in a process that is thrown away.

Hands over the folder of the training split of the search, which holds no label of a later day, and the journal's rows
as every proposer sees them. What the query may do is decided in `query_child`; how long it may take, here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evaluations.tools.training import Column, training_columns
from evolve.contracts import Attempt, History, Scored

CHILD = Path(__file__).with_name("query_child.py")
LONGEST_SQL = 4_000
START_S = 10.0
"""A process that is not over so long after the query's own limit is killed."""
CELL = 120
"""Characters of one value that are shown."""
JOURNAL = (
    "number INTEGER, parent VARCHAR, persona VARCHAR, move VARCHAR, technique VARCHAR, hypothesis VARCHAR, "
    "outcome VARCHAR, reason VARCHAR, rung VARCHAR, score DOUBLE, gain DOUBLE, standard_error DOUBLE, seeds INTEGER"
)
METRICS = "number INTEGER, kind VARCHAR, name VARCHAR, value DOUBLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryLimits:
    """What one query may take."""

    seconds: float = 5.0
    memory_bytes: int = 2 << 30
    rows: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryData:
    """Implements `contracts.Tool`. `folder` is the training folder of the search."""

    folder: Path
    columns: Mapping[str, Column]
    limits: QueryLimits = field(default_factory=QueryLimits)
    name: str = "query_data"

    @classmethod
    def of(cls, folder: Path, limits: QueryLimits | None = None) -> QueryData:
        """The tool over a training folder."""
        return cls(folder=folder, columns=training_columns(folder), limits=limits or QueryLimits())

    @property
    def usage(self) -> str:
        """One line."""
        return (
            f"sql (one SELECT, DuckDB's dialect, at most {self.limits.rows} rows come back) over the tables "
            f"training({', '.join(self.columns)}), journal({_names(JOURNAL)}) and metrics({_names(METRICS)})"
        )

    def use(self, history: History, arguments: Mapping[str, str]) -> str:
        """The rows as text, or why there are none."""
        sql = arguments.get("sql", "").strip()
        if not 0 < len(sql) <= LONGEST_SQL:
            return f"Give `sql`: one SELECT of 1 to {LONGEST_SQL} characters."
        if find_spec("duckdb") is None:
            return "This machine has no DuckDB (pip install 'evolve-automl[data]'): no query is answered."
        answer = self._asked(history, sql)
        return f"Not answered: {answer['error']}" if "error" in answer else _table(answer)

    def _asked(self, history: History, sql: str) -> dict[str, Any]:
        limits = self.limits
        question = {
            "sql": sql,
            "rows": limits.rows,
            "memory_bytes": limits.memory_bytes,
            "seconds": limits.seconds,
            "cpu_s": int(limits.seconds + START_S),
            "folder": str(self.folder.resolve()),
            "training": {name: (c.file, c.place, c.by_offsets) for name, c in self.columns.items()},
            "tables": {"journal": (JOURNAL, journal_rows(history)), "metrics": (METRICS, metric_rows(history))},
        }
        try:
            ended = subprocess.run(
                [sys.executable, "-I", str(CHILD)],
                input=json.dumps(question).encode(),
                capture_output=True,
                timeout=limits.seconds + START_S,
                env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                cwd="/",
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"error": f"it takes longer than {limits.seconds:.0f} s; join less, group earlier"}
        try:
            return json.loads(ended.stdout)
        except ValueError:
            return {"error": "it needs too much memory or time; ask for less"}


def journal_rows(history: History) -> list[list[Any]]:
    """The finished attempts as rows of the table `journal`."""
    return [_journal_row(attempt) for attempt in history.attempts]


def _journal_row(attempt: Attempt) -> list[Any]:
    proposal, outcome = attempt.proposal, attempt.outcome
    made = [attempt.candidate.number, proposal.parents[0], proposal.persona.value, proposal.move.value]
    made += [proposal.technique, proposal.hypothesis, outcome.kind]
    if isinstance(outcome, Scored):
        figures = (outcome.score, outcome.gain, outcome.standard_error, outcome.seeds)
        return [*made, "", outcome.rung, *figures]
    return [*made, outcome.reason, getattr(outcome, "rung", ""), None, None, None, None]


def metric_rows(history: History) -> list[list[Any]]:
    """Metrics and observables of scored attempts as rows of the table `metrics`."""
    return [
        [attempt.candidate.number, kind, name, value]
        for attempt in history.attempts
        if isinstance(attempt.outcome, Scored)
        for kind, found in (("metric", attempt.outcome.metrics), ("observable", attempt.outcome.observables))
        for name, value in found.items()
    ]


def _names(definition: str) -> str:
    return ", ".join(part.split()[0] for part in definition.split(", "))


def _table(answer: Mapping[str, Any]) -> str:
    rows: Sequence[Sequence[str | None]] = answer["rows"]
    lines = [" | ".join(answer["columns"])]
    lines += [" | ".join("" if cell is None else " ".join(cell.split())[:CELL] for cell in row) for row in rows]
    if answer["more"]:
        lines.append(f"... and more: only the first {len(rows)} rows are shown.")
    return "\n".join(lines) if rows else f"{lines[0]}\n(no row)"
