"""A pull request's text in Markdown. Says only what was measured, and where something was not, that it was not."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from math import isfinite

from evolve.archive import NORTH_STAR, Archive
from evolve.contracts import Attempt, Rejected, Scored, Verdict
from evolve.error_budget import ALPHA
from evolve.review.pulls import Pull
from evolve.reviews import Review

HTML = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


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
        _section("Experiment", _experiment(archive, pull)),
        _section("What each part gives", _parts(pull, run)),
        _section("Cost", _cost(steps)),
        _section("Risks", _risks(archive, pull, attempts)),
        _section("How to roll back", _roll_back(archive, pull, run)),
        _section("How to reproduce", _reproduce(archive, pull, run)),
    ]
    if pull.reviews:
        parts.append(_section("Reviews", (f"- {r.kind.replace('_', ' ')}: {_plain(r.text)}" for r in pull.reviews)))
    if pull.rebased:
        parts.insert(1, _section("On another ground", _rebased(pull.rebased)))
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
    look = pull.look.verdict
    if look.metric == NORTH_STAR:
        yield "Promoted by an experiment; the search's figures above are proxies."
        return
    yield f"Confirmed on {look.users} users that the search never saw, {look.seeds} training seeds, p = {look.p:.2g}"
    yield f"at the level {look.alpha:.4g}. Nothing below {floor.minimum_effect:.4f} is seen in the search."


def _experiment(archive: Archive, pull: Pull) -> Iterator[str]:
    found = [one for one in archive.campaign.experiments if one.challenger == str(pull.candidate)]
    if not found:
        yield "No experiment yet: it was confirmed by measuring on users whom the search never saw."
        return
    for one in found:
        kind = f"`{_code(one.name)}` ({_plain(one.kind)}), against #{_plain(one.control)}, from day {one.begun}"
        if not one.looks:
            yield f"- {kind}: nothing is decided yet."
            continue
        look = one.looks[-1].decision
        days = one.looks[-1].day - one.begun + 1
        believed = "" if look.shrunk is None else f", believed to be worth {look.shrunk:+.2%}"
        bounds = f"[{look.low:+.2%}, {look.high:+.2%}]" if isfinite(look.low) else "(no interval yet)"
        effect = f"{look.effect:+.2%} {bounds} at {1 - look.alpha:.2%}{believed}"
        yield f"- {kind}: **{look.action}** after {days} days and {look.users} users: {effect}. {_plain(look.reason)}"


def _parts(pull: Pull, run: str) -> Iterator[str]:
    review = next((review for review in reversed(pull.reviews) if review.kind == "attributed"), None)
    if review is None:
        yield f"Not measured yet: `evolve pr attribute {pull.number} --run {shlex.quote(run)}`."
        return
    yield "The whole against the whole less one part, at users that the search never saw; the level is shared."
    yield ""
    yield "| part | what it gives |"
    yield "| --- | --- |"
    for part in review.parts:
        yield f"| {_plain(part.name)} | {_interval(part.verdict) if part.verdict else _plain(part.reason)} |"


def _rebased(review: Review) -> Iterator[str]:
    if review.verdict is None:
        yield f"Its steps can't be laid on `{_code(review.onto[:12])}`, which `main` held: both changed these lines."
        yield ""
        yield from (f"    {_printable(line)}" for line in review.text.splitlines())
        return
    yield f"Laid on `{_code(review.onto[:12])}`, which `main` held, and judged again there, at users that the search"
    look = review.verdict
    yield f"never saw, against that: {_interval(look)}, p = {look.p:.2g} at the level {look.alpha:.4g}."
    yield "What is said below of proxies is of the candidate as the search made it."


def _roll_back(archive: Archive, pull: Pull, run: str) -> Iterator[str]:
    yield f"- `evolve pr rollback {pull.number} --run {shlex.quote(run)}`, once it is merged: a commit on top restores"
    yield f"  what `main` held before; by hand, `git revert -m 1 champion/{pull.number}`"
    if archive.settings.get("target"):
        yield f"- in the repository at hand: `git revert -m 1 evolve/{_code(run)}/champion/{pull.number}`"


def _cost(steps: list[Attempt]) -> Iterator[str]:
    compute = sum(step.outcome.cpu_s for step in steps if not isinstance(step.outcome, Rejected))
    tokens = sum(step.proposal.tokens for step in steps)
    money = sum(step.proposal.cost_usd for step in steps)
    yield f"{compute:.0f} CPU seconds in the search, {tokens} tokens, {money:.2f} USD for its {len(steps)} steps."


def _risks(archive: Archive, pull: Pull, attempts: Mapping[int, Attempt]) -> Iterator[str]:
    look, outcome = pull.look.verdict, attempts[pull.candidate].outcome
    yield f"- The gain may be as small as {look.low:+.4f} (end of the interval)."
    if isinstance(outcome, Scored):
        before = attempts[pull.look.against].outcome if pull.look.against else None
        lead = outcome.gain - (before.gain if isinstance(before, Scored) else 0.0)
        there = "of the north star" if look.metric == NORTH_STAR else "at unseen users"
        yield f"- {lead:+.4f} in the search, {look.effect:+.4f} {there}: the best of many shrinks."
    looks = len(archive.confirmations)
    if look.metric == NORTH_STAR:
        yield f"- One of {len(archive.campaign.experiments)} experiments; the share of false promotions is at most"
        told = archive.campaign.settings
        yield f"  {told['level']:.0%} in expectation over {told['tests']} of them."
    else:
        yield f"- One of {looks} looks at the confirmation users; the chance of any false promotion is {ALPHA:.0%}."
    if pull.takes_back:
        yield f"- It takes back steps of the champion that it does not stand on: {_numbers(pull.takes_back)}."
    for proposal in (attempts[number].proposal for number in pull.steps):
        if len(proposal.parents) > 1:
            yield f"- A step combines two candidates ({_plain(proposal.technique)})."


def _reproduce(archive: Archive, pull: Pull, run: str) -> Iterator[str]:
    yield f"- measure again: `evolve replay {shlex.quote(run)} --verify`"
    yield f"- the code: `git fetch PATH/lineage.git evolve/{_code(run)}/{pull.number}`"
    settings = archive.settings
    data = _code(str(settings["dataset"] or settings["world"] or "the space's own"))
    judged = f"run seed {settings['seed']}, judged in {_plain(settings['sandbox'])}"
    yield f"- space `{_code(settings['space'])}`, data `{data}`, {judged}"
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


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else " " for c in line)
