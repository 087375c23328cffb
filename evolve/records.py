"""Values to plain JSON and back: the bodies of journal records. Knows the contracts, not the journal."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from evolve.contracts import CohortReport, Decision, FinalResult, NoiseFloor, Outcome, Proposal, Verdict
from evolve.errors import RunError

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@lru_cache(maxsize=16)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _load(kind: Any, body: Mapping[str, Any]) -> Any:
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_python(body)
    except ValidationError as error:
        first = error.errors()[0]
        raise RunError(
            f"a journal record is not what this version of evolve writes: {first['msg']} at {first['loc']}",
            hint="Use the version of evolve that wrote the run (see its first record).",
        ) from error


def proposal_to_json(proposal: Proposal) -> dict[str, Any]:
    """Everything but the files: git holds those."""
    body = _adapter(Proposal).dump_python(proposal, mode="json")
    body.pop("files")
    return body


def proposal_from_json(body: Mapping[str, Any], files: Mapping[str, str]) -> Proposal:
    """The proposal with its changed files, which the caller has read from git."""
    return _load(Proposal, {**body, "files": dict(files)})


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """The outcome, tagged by its `kind`."""
    return _adapter(type(outcome)).dump_python(outcome, mode="json")


def outcome_from_json(body: Mapping[str, Any]) -> Outcome:
    """The outcome of a `judged` record."""
    return _load(Outcome, body)


def floor_to_json(floor: NoiseFloor) -> dict[str, Any]:
    """The noise floor."""
    return _adapter(NoiseFloor).dump_python(floor, mode="json")


def floor_from_json(body: Mapping[str, Any]) -> NoiseFloor:
    """The noise floor of a `floor` record."""
    return _load(NoiseFloor, body)


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict."""
    return _adapter(Verdict).dump_python(verdict, mode="json")


def verdict_from_json(body: Mapping[str, Any]) -> Verdict:
    """The verdict of a `confirmed` record."""
    return _load(Verdict, body)


def final_to_json(final: FinalResult) -> dict[str, Any]:
    """The final result."""
    return _adapter(FinalResult).dump_python(final, mode="json")


def final_from_json(body: Mapping[str, Any]) -> FinalResult:
    """The final result of a `final` record."""
    return _load(FinalResult, body)


def decision_from_json(body: Mapping[str, Any]) -> Decision:
    """The decision of a `decided` record; the ends of an unbounded interval are words there."""
    return _load(Decision, body)


def report_from_json(body: Mapping[str, Any]) -> CohortReport:
    """One report of a `reported` record; what was no number is a word there."""
    return _load(CohortReport, body)
