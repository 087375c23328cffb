"""The outer loop of one run: it lives days, lets challengers wait, and follows each promotion in git.

Knows the archive, the journal and the lineage; the agent that drives the platform is handed in. Statistics stay in
`evaluations.experiments`; here is only the order in which things are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evolve.archive import Archive
from evolve.campaign import candidate_of
from evolve.config import OnlineConfig
from evolve.contracts import Believed, Scored
from evolve.journal import Journal, Record
from evolve.lessons import idea_of, lessons, offline_reading, persona_of, taught
from evolve.lineage import Lineage
from evolve.review.desk import Desk as Reviews

if TYPE_CHECKING:
    from agents.online import OnlineAgent
    from evaluations.experiments.rules import Plan
    from evaluations.experiments.surrogate import Forecast

PRODUCTION = "refs/heads/production"
"""The branch of what serves people, as the experiments say; `main` is what a person took."""
LEAST_LESSONS = 3
"""Finished experiments from which on the surrogate orders the queue."""
LEAST_CHANCE = 0.05
"""A challenger is tried where the surrogate gives it this chance of a gain that counts."""
WEEK = 7
"""Cohorts before the first decision, so that every weekday is in it."""
Observer = Callable[[Record], None]
Reorder = Callable[[Sequence[Believed]], Sequence[tuple[str, str]]]
"""What may be said of an order of beliefs: the challengers as they are tried, each with a reason."""


class OuterLoop:
    """The experiments of one run. `run` lives days until nothing is left to do; a journal of any length goes on."""

    def __init__(
        self,
        *,
        archive: Archive,
        journal: Journal,
        lineage: Lineage,
        reviews: Reviews,
        config: OnlineConfig,
        observer: Observer,
        auto_approve: bool,
        reorder: Reorder | None = None,
    ) -> None:
        self.archive, self.config = archive, config
        self._reorder = reorder or as_believed
        self._journal, self._lineage, self._reviews = journal, lineage, reviews
        self._observer, self._auto_approve = observer, auto_approve
        self._taken = 0
        self.stopped = False
        self.refresh()

    def refresh(self) -> None:
        """Takes what was written since, by this process or another."""
        for record in self._journal.since(self._taken):
            self._taken += 1
            self.archive.apply(record)

    def write(self, kind: str, body: Mapping[str, Any]) -> None:
        """Writes a record, takes it, and follows a promotion in git: branch and pull request."""
        record = self._journal.append(kind, body)
        self.refresh()
        ends = kind == "decided" and body["decision"]["action"] != "extend"
        if ends or kind in ("online_started", "champion_rolled_back"):
            self.follow()
        self._observer(record)

    def follow(self) -> None:
        """Makes git say what the records say; may be done twice."""
        champion = self.archive.campaign.champion
        if champion:
            self._lineage.point(PRODUCTION, self.archive.candidates[candidate_of(champion)].commit)
        self._reviews.follow(auto_approve=self._auto_approve)

    def stop(self) -> None:
        """Ends after the day that is lived now."""
        self.stopped = True

    def run(self, agent: OnlineAgent) -> str:
        """Lives days; returns why it ended."""
        while not self.stopped:
            self.refresh()
            self._teach(agent)
            self._enqueue(agent)
            if agent.idle:
                return "no experiment is left to run"
            if agent.state.day + 1 >= self.config.days:
                return f"{self.config.days} days are lived; more with evolve online --days"
            agent.tick()
        return "stopped by hand; continue with evolve online"

    def _teach(self, agent: OnlineAgent) -> None:
        """Tells the offline agent what experiments taught, between two days, where it is news."""
        lines = taught(self.archive) if agent.state.observed == agent.state.day else []
        if lines and tuple(lines) != self.archive.campaign.lines:
            self.write("learned", {"day": agent.state.day, "lines": lines})

    def _enqueue(self, agent: OnlineAgent) -> None:
        """Lets the best of the search wait, as many as are asked for."""
        waiting = [one for one in self.archive.campaign.queue.values() if one.kind == "challenge"]
        if len(waiting) >= self.config.top:
            return
        found = [one for one in challengers(self.archive) if str(one[0]) not in agent.state.seen]
        forecasts = self._forecasts([str(number) for number, _, _ in found])
        for number, reason, gain in worth_trying(found, forecasts, plan(self.config).smallest):
            if len(waiting) >= self.config.top:
                return
            agent.enqueue(str(number), reason, gain=gain)
            waiting.append(self.archive.campaign.queue[str(number)])

    def rank(self, waiting: Sequence[str]) -> Sequence[tuple[str, str]]:
        """The order in which challengers are tried, each with the reason for its place."""
        return self._reorder(self._believed(waiting))

    def _believed(self, waiting: Sequence[str]) -> list[Believed]:
        """By the surrogate's expected gain for each day of traffic, once experiments taught it; by proxy before."""
        archive, config, forecasts = self.archive, self.config, self._forecasts(waiting)
        if not forecasts:
            found = [_by_proxy(archive, arm) for arm in waiting]
            return sorted(found, key=lambda one: -one.mean)
        from evaluations.experiments.queueing import Traffic, ordered

        daily = plan(config).information / config.enrol
        traffic = Traffic(information=daily, alpha=config.level / config.tests, most_days=config.enrol)
        said = {
            arm: f"north star expected {one.mean:+.2%} ± {one.sd:.2%}, learned from {len(lessons(archive))} experiments"
            for arm, one in forecasts.items()
        }
        return [
            Believed(arm=a, idea=idea_of(archive, a), mean=forecasts[a].mean, sd=forecasts[a].sd, reason=said[a])
            for a in ordered(forecasts, traffic)
        ]

    def _forecasts(self, arms: Sequence[str]) -> dict[str, Forecast]:
        """What experiments taught to expect of challengers; nothing before there were enough of them."""
        archive, learned = self.archive, lessons(self.archive) if arms else []
        if len(learned) < LEAST_LESSONS:
            return {}
        from evaluations.experiments.calibration import calibrate

        surrogate = calibrate(learned).surrogate
        readings = {arm: offline_reading(archive, arm, archive.campaign.champion) for arm in arms}
        return {arm: surrogate.forecast(persona_of(archive, arm), found) for arm, found in readings.items()}


def as_believed(order: Sequence[Believed]) -> Sequence[tuple[str, str]]:
    """The order of beliefs alone."""
    return [(one.arm, one.reason) for one in order]


def _by_proxy(archive: Archive, arm: str) -> Believed:
    gain, outcome = archive.campaign.queue[arm].gain or 0.0, archive.outcome(candidate_of(arm))
    sd = outcome.standard_error if isinstance(outcome, Scored) else 0.0
    reason = f"proxy gain {gain:+.4f}; too few experiments to learn from"
    return Believed(arm=arm, idea=idea_of(archive, arm), mean=gain, sd=sd, reason=reason)


def challengers(archive: Archive) -> Iterator[tuple[int, str, float]]:
    """Candidates that may be tried on people, the most promising first: those that the search confirmed, then the
    others that it found better; never one whose pull request was rejected. With a reason and the gain over the seed."""
    scored = {a.candidate.number: a.outcome for a in archive.attempts if isinstance(a.outcome, Scored)}
    refused = archive.rejections()
    confirmed = {look.number for look in archive.confirmations if look.promoted}
    better = [n for n, o in scored.items() if o.gain > 0 and (o.promising or n in confirmed) and n not in refused]
    for number in sorted(better, key=lambda n: (n not in confirmed, -scored[n].gain)):
        how = "confirmed at unseen users" if number in confirmed else "better in the search"
        yield number, how, scored[number].gain


def worth_trying(
    found: Sequence[tuple[int, str, float]], forecasts: Mapping[str, Forecast], smallest: float
) -> Iterator[tuple[int, str, float]]:
    """Those that the surrogate leaves a chance of a gain of `smallest`; all of whom it says nothing."""
    for one in found:
        forecast = forecasts.get(str(one[0]))
        if forecast is None or forecast.chance_above(smallest) >= LEAST_CHANCE:
            yield one


def plan(config: OnlineConfig) -> Plan:
    """What is fixed before any experiment of the run. Rankings of this world move return by some percent."""
    from evaluations.experiments.evidence import Bet
    from evaluations.experiments.rules import Plan

    # Half of the users enter, in two arms; after adjustment a user's active days deviate by about .45 of the mean.
    information = config.users * config.stages[-1][1] / 4 / (2 * 0.45**2) * 2
    return Plan(
        bet=Bet(mean=0.03, sd=0.03),
        harm_bet=Bet(mean=0.03, sd=0.03),
        smallest=0.01,
        least_cohorts=WEEK,
        most_cohorts=config.enrol,
        information=information,
        margins={"early_active": 0.05},
    )
