"""A pull request's text in Markdown. Says only what was measured, and where something was not, that it was not."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from evolve.archive import NORTH_STAR, Archive
from evolve.campaign import candidate_of
from evolve.contracts import Attempt, Rejected, Scored, Verdict
from evolve.review.pulls import Pull

HTML = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
TRIED = 0.05
"""The error budget of a run's promotions (the loop's `ALPHA`)."""


def body(archive: Archive, pull: Pull, run: str, unseen: Mapping[str, Verdict] | None = None) -> str:
    """The whole text. `unseen` holds a paired comparison for each metric at the users of the confirmation, where the
    run's measurements are at hand; the recorded one of the primary metric stands in for them otherwise."""
    attempts = {attempt.candidate.number: attempt for attempt in archive.attempts}
    steps = [attempts[number] for number in pull.steps]
    parts = [
        _head(pull, attempts[pull.candidate]),
        _section("What changes, and why", _changes(steps)),
        _section("Mechanism", _mechanism(archive, pull, attempts)),
        _section("Proxies", _proxies(archive, pull, attempts, unseen)),
        _section("Cost", _cost(steps)),
        _section("Risks", _risks(archive, pull, attempts)),
        _section("How to roll back", iter([f"`evolve pr rollback {pull.number} --run {run}`, once it is merged."])),
        _section("How to reproduce", _reproduce(archive, pull, run)),
    ]
    if pull.reviews:
        parts.append(_section("Reviews", (f"- {r.kind.replace('_', ' ')}: {_plain(r.text)}" for r in pull.reviews)))
    return "\n".join(parts)


def _head(pull: Pull, attempt: Attempt) -> str:
    title = _plain(attempt.proposal.hypothesis)
    about = f"Candidate {pull.candidate} over champion {pull.look.against}; {pull.state}."
    return f"# Pull request {pull.number}: {title}\n\n{about}\n"


def _section(title: str, lines: Iterator[str]) -> str:
    return f"## {title}\n\n" + "\n".join(lines) + "\n"


def _changes(steps: list[Attempt]) -> Iterator[str]:
    for step in steps:
        proposal = step.proposal
        yield f"- candidate {step.candidate.number}, {_plain(proposal.technique)}: {_plain(proposal.hypothesis)}"
        yield f"  {_plain(proposal.mechanism)}"


def _mechanism(archive: Archive, pull: Pull, attempts: Mapping[int, Attempt]) -> Iterator[str]:
    attempt = attempts[pull.candidate]
    declared, outcome = attempt.proposal.observable, attempt.outcome
    if declared is None:
        yield "No observable was declared: why it is better was not checked."
        return
    now = outcome.observables.get(declared.name) if isinstance(outcome, Scored) else None
    champion = attempts.get(pull.look.against)
    before = None
    if champion is not None and isinstance(champion.outcome, Scored):
        before = champion.outcome.observables.get(declared.name)
    told = f"`{_code(declared.name)}` was to move: {declared.direction}. Now {_number(now)}"
    compared = f", champion {_number(before)}" if before is not None else ", champion not recorded"
    yield f"{told}{compared}. It moved: else the gain would have been undecided. It is the candidate's own claim."


def _proxies(
    archive: Archive, pull: Pull, attempts: Mapping[int, Attempt], unseen: Mapping[str, Verdict] | None
) -> Iterator[str]:
    outcome, champion, floor = attempts[pull.candidate].outcome, attempts.get(pull.look.against), archive.floor
    assert isinstance(outcome, Scored) and floor is not None
    scored = champion.outcome if champion and isinstance(champion.outcome, Scored) else None
    before = scored.metrics if scored else {floor.metric: floor.score}
    there = {pull.look.verdict.metric: pull.look.verdict, **(unseen or {})}
    yield "| metric | champion, search | this, search | paired difference at unseen users |"
    yield "| --- | --- | --- | --- |"
    for name, value in outcome.metrics.items():
        yield f"| {_plain(name)} | {_number(before.get(name))} | {_number(value)} | {_interval(there.get(name))} |"
    yield ""
    yield from _confirmed(archive, pull)


def _confirmed(archive: Archive, pull: Pull) -> Iterator[str]:
    """How the promotion was decided, and what an experiment says of the candidate."""
    look, floor = pull.look.verdict, archive.floor
    assert floor is not None
    if look.metric != NORTH_STAR:
        yield f"Confirmed on {look.users} users that the search never saw, {look.seeds} training seeds,"
        yield f"p = {look.p:.2g} at the level {look.alpha:.4g}."
        yield f"Nothing below {floor.minimum_effect:.4f} is seen in the search."
    ends = [one for one in archive.campaign.experiments if one.end and candidate_of(one.challenger) == pull.candidate]
    for one in ends:
        decision = one.end.decision if one.end else None
        assert decision is not None
        worth = "" if decision.shrunk is None else f"; believed to be {decision.shrunk:+.2%} after shrinkage"
        width = f"[{decision.low:+.2%}, {decision.high:+.2%}] at {1 - decision.alpha:.2%}"
        yield f"{one.name} ({one.kind}, against {candidate_of(one.control)}): {decision.action};"
        yield f"active days in days 29-56 {decision.effect:+.2%} {width}, {decision.users} users in"
        yield f"{decision.cohorts} cohorts{worth}. {_plain(decision.reason)}."
    if not ends:
        yield "Experiment: none yet. What each step adds by itself was not measured."


def _cost(steps: list[Attempt]) -> Iterator[str]:
    compute = sum(step.outcome.cpu_s for step in steps if not isinstance(step.outcome, Rejected))
    tokens = sum(step.proposal.tokens for step in steps)
    money = sum(step.proposal.cost_usd for step in steps)
    yield f"{compute:.0f} CPU seconds in the search, {tokens} tokens, {money:.2f} USD for its {len(steps)} steps."


def _risks(archive: Archive, pull: Pull, attempts: Mapping[int, Attempt]) -> Iterator[str]:
    look, outcome = pull.look.verdict, attempts[pull.candidate].outcome
    yield f"- The gain may be as small as {look.low:+.4f} (end of the interval)."
    if isinstance(outcome, Scored) and outcome.verdict:
        there = "of the north star" if look.metric == NORTH_STAR else "at unseen users"
        yield f"- {outcome.verdict.effect:+.4f} in the search, {look.effect:+.4f} {there}: the best of many shrinks."
    looks = len(archive.confirmations)
    if look.metric == NORTH_STAR:
        yield f"- One of {len(archive.campaign.experiments)} experiments; the share of false promotions is at most"
        told = archive.campaign.settings
        yield f"  {told['level']:.0%} in expectation over {told['tests']} of them."
    else:
        yield f"- One of {looks} looks at the confirmation users; the chance of any false promotion is {TRIED:.0%}."
    if pull.takes_back:
        yield f"- It takes back steps of the champion that it does not stand on: {_numbers(pull.takes_back)}."
    for proposal in (attempts[number].proposal for number in pull.steps):
        if len(proposal.parents) > 1:
            yield f"- A step combines two candidates ({_plain(proposal.technique)})."


def _reproduce(archive: Archive, pull: Pull, run: str) -> Iterator[str]:
    yield f"- measure again: `evolve replay {shlex.quote(run)} --verify`"
    yield f"- the code: `git fetch PATH/lineage.git evolve/{run}/{pull.number}`"
    versions = ", ".join(f"{_plain(k)} {_plain(v)}" for k, v in archive.settings["versions"].items())
    yield f"- made with {versions}"


def _interval(verdict: Verdict | None) -> str:
    if verdict is None:
        return "not at hand"
    return f"{verdict.effect:+.4f} [{verdict.low:+.4f}, {verdict.high:+.4f}] {verdict.decision}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _numbers(numbers: tuple[int, ...]) -> str:
    return ", ".join(f"#{number}" for number in numbers)


def _plain(text: str) -> str:
    """A stranger's text on one line, with what Markdown or HTML would obey made literal."""
    one_line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return "".join(f"\\{c}" if c in "\\`*_[]()|#~!$" else HTML.get(c, c) for c in one_line)


def _code(text: str) -> str:
    return "".join(c for c in text if c.isprintable() and c not in "`|")
