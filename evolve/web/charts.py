"""Charts as plain geometry for SVG: paths, ticks and dots. Knows the archive, not colours, texts around it or HTML."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from evolve.archive import Archive
from evolve.contracts import Scored
from evolve.report.figures import funnel_rows, payoffs
from evolve.report.rows import NORMAL_95, signed

LINKED_DOTS = 400
"""A dot of its own, with a link, for each candidate up to so many; beyond, one path for all of a kind."""
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 14, 30
NICE = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A line of the grid and what stands beside it."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One candidate; `low` and `high` are the ends of its interval."""

    number: int
    x: float
    y: float
    low: float
    high: float
    state: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Gain over the seed by number: dots, the champion's staircase with its interval, and the best so far."""

    width: int
    height: int
    left: int
    right: float
    bottom: float
    dots: tuple[Dot, ...]
    clouds: tuple[tuple[str, str], ...]
    best: str
    champion: str
    band: str
    noise: tuple[float, float]
    promotions: tuple[Dot, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A straight map of values to places."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value stands, kept within the picture."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round(self.start + min(1.05, max(-0.05, share)) * (self.end - self.start), 1)


def progress(archive: Archive, *, width: int = 960, height: int = 300) -> Progress | None:
    """The picture of a search so far; None where nothing has a score."""
    scored = [
        (a.candidate.number, a.outcome, a.proposal.technique) for a in archive.attempts if isinstance(a.outcome, Scored)
    ]
    if not scored:
        return None
    gains = {0: (0.0, 0.0), **{n: (o.gain, o.standard_error) for n, o, _ in scored}}
    last = len(archive.candidates) - 1
    low, high = _reach(archive, [gain for gain, _ in gains.values()])
    x = Scale(low=0, high=max(1, last), start=LEFT, end=width - RIGHT)
    y = Scale(low=low, high=high, start=height - BOTTOM, end=TOP)
    promoted = [look.number for look in archive.confirmations if look.promoted]
    dots = [_dot(n, o, technique, n in promoted, x, y) for n, o, technique in scored]
    linked = len(dots) <= LINKED_DOTS
    floor = archive.floor.minimum_effect if archive.floor else 0.0
    line, band = _champions(promoted, gains, last, x, y)
    return Progress(
        width=width,
        height=height,
        left=LEFT,
        right=width - RIGHT,
        bottom=height - BOTTOM,
        dots=tuple(d for d in dots if d.state != "promoted") if linked else (),
        clouds=() if linked else _clouds(dots),
        best=_staircase(_best(scored), last, x, y),
        champion=line,
        band=band,
        noise=(y(floor), round(y(-floor) - y(floor), 1)),
        promotions=tuple(d for d in dots if d.state == "promoted"),
        across=tuple(Tick(at=x(v), label=f"{v:.0f}") for v in ticks(0, last, width // 110, whole=True)),
        up=tuple(Tick(at=y(v), label=_short(v)) for v in ticks(low, high, height // 55)),
        told=_told(archive, scored, promoted, gains),
    )


def ticks(low: float, high: float, most: int, *, whole: bool = False) -> list[float]:
    """Round numbers from `low` to `high`, about `most` of them."""
    if high <= low:
        return [low]
    rough = (high - low) / max(1, most)
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * unit for nice in NICE if nice * unit >= rough * 0.999)
    step = max(1.0, math.ceil(step)) if whole else step
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def spark(archive: Archive, *, width: int = 140, height: int = 32) -> str:
    """The champion's gain as a small staircase: a path, empty where no step was confirmed."""
    gains = {0: (0.0, 0.0)}
    for look in archive.promoted:
        outcome = archive.outcome(look.number)
        gains[look.number] = (outcome.gain, 0.0) if isinstance(outcome, Scored) else (0.0, 0.0)
    if len(gains) < 2:
        return ""
    last = len(archive.candidates) - 1
    top = max(gain for gain, _ in gains.values())
    x = Scale(low=0, high=max(1, last), start=2, end=width - 2)
    y = Scale(low=0, high=top, start=height - 3, end=3)
    return _staircase([(n, gain) for n, (gain, _) in gains.items()], last, x, y)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One rung of the funnel: parts as (kind, count, start, width) in percent of the widest."""

    name: str
    total: int
    parts: tuple[tuple[str, int, float, float], ...]


def funnel(archive: Archive) -> list[Stage]:
    """How many candidates reached each rung, and how they ended there."""
    rows = [(name, {kind: n for kind, n in counts.items() if n}) for name, counts in funnel_rows(archive)]
    widest = max((sum(counts.values()) for _, counts in rows), default=0) or 1
    stages: list[Stage] = []
    for name, counts in rows:
        start, parts = 0.0, list[tuple[str, int, float, float]]()
        for kind, count in sorted(counts.items(), key=lambda item: item[0] != "went on"):
            parts.append((kind, count, round(start, 2), round(100 * count / widest, 2)))
            start += 100 * count / widest
        stages.append(Stage(name=name, total=sum(counts.values()), parts=tuple(parts)))
    return stages


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What a technique brought; places in percent of the picture, None where it only broke."""

    technique: str
    scored: int
    broken: int
    mean: str
    half: str
    at: float | None
    low: float
    high: float
    sign: str


def bars(archive: Archive) -> tuple[list[Bar], float]:
    """Every technique, best first, and where zero is."""
    found = payoffs(archive)
    ends = [p.mean + side * NORMAL_95 * p.standard_error for p in found if p.scored for side in (-1, 1)]
    means = [p.mean for p in found if p.scored]
    # One wild interval must not flatten all others: the picture shows the means whole, intervals as far as they fit.
    reach = max((abs(m) for m in means), default=1e-9)
    low = max(min([0.0, *ends]), -2.0 * reach)
    high = min(max([0.0, *ends]), 2.0 * reach)
    x = Scale(low=low, high=high or 1e-9, start=3, end=97)
    made: list[Bar] = []
    for p in found:
        half = NORMAL_95 * p.standard_error if p.scored else 0.0
        sign = "" if not p.scored else "up" if p.mean - half > 0 else "down" if p.mean + half < 0 else "even"
        bar = Bar(
            technique=p.technique,
            scored=p.scored,
            broken=p.broken,
            mean=signed(p.mean) if p.scored else "",
            half=f"± {half:.4f}" if p.scored else "",
            at=x(p.mean) if p.scored else None,
            low=x(p.mean - half) if p.scored else 0.0,
            high=x(p.mean + half) if p.scored else 0.0,
            sign=sign,
        )
        made.append(bar)
    return made, x(0.0)


def _reach(archive: Archive, gains: Sequence[float]) -> tuple[float, float]:
    """What the picture shows: all that is good, and of what is bad as much again."""
    top = max(*gains, 1e-9)
    least = archive.floor.minimum_effect if archive.floor else 0.0
    top = max(top * 1.12, 1.6 * least)
    return max(min(*gains, -1.6 * least), -top) * 1.05, top


def _dot(number: int, outcome: Scored, technique: str, promoted: bool, x: Scale, y: Scale) -> Dot:
    half = NORMAL_95 * outcome.standard_error
    return Dot(
        number=number,
        x=x(number),
        y=y(outcome.gain),
        low=y(outcome.gain - half),
        high=y(outcome.gain + half),
        state="promoted" if promoted else outcome.rung if outcome.rung in ("smoke", "short") else "scored",
        title=f"#{number} {technique}: {signed(outcome.gain)} ± {half:.4f} at {outcome.rung}",
    )


def _clouds(dots: Iterable[Dot]) -> tuple[tuple[str, str], ...]:
    """State -> a path of points: segments of no length, which a round cap makes visible."""
    found: dict[str, list[str]] = {}
    for dot in dots:
        found.setdefault(dot.state, []).append(f"M{dot.x} {dot.y}h0")
    return tuple((state, "".join(points)) for state, points in sorted(found.items()) if state != "promoted")


def _best(scored: Sequence[tuple[int, Scored, str]]) -> list[tuple[int, float]]:
    steps = [(0, 0.0)]
    for number, outcome, _ in scored:
        if outcome.gain > steps[-1][1]:
            steps.append((number, outcome.gain))
    return steps


def _staircase(steps: Sequence[tuple[int, float]], last: int, x: Scale, y: Scale) -> str:
    (first, height), *rest = steps
    path = f"M{x(first)} {y(height)}" + "".join(f"H{x(number)}V{y(gain)}" for number, gain in rest)
    return f"{path}H{x(last)}"


def _champions(
    promoted: Sequence[int], gains: dict[int, tuple[float, float]], last: int, x: Scale, y: Scale
) -> tuple[str, str]:
    """The champion's gain as a staircase, and the band of its 95 % interval."""
    line = _staircase([(n, gains[n][0]) for n in (0, *promoted)], last, x, y)
    upper, lower = "", ""
    for number, until in pairwise([*promoted, last]):
        gain, error = gains[number]
        top, bottom = y(gain + NORMAL_95 * error), y(gain - NORMAL_95 * error)
        upper += f"{'L' if upper else 'M'}{x(number)} {top}H{x(until)}"
        lower = f"L{x(until)} {bottom}H{x(number)}" + lower
    return line, f"{upper}{lower}Z" if upper else ""


def _short(value: float) -> str:
    return "0" if abs(value) < 1e-12 else f"{value:+.4f}".rstrip("0").rstrip(".")


def _told(
    archive: Archive,
    scored: Sequence[tuple[int, Scored, str]],
    promoted: Sequence[int],
    gains: dict[int, tuple[float, float]],
) -> str:
    """The picture in words, for who does not see it."""
    champion = promoted[-1] if promoted else 0
    best = max(scored, key=lambda row: row[1].gain)
    now = f"champion #{champion} at {signed(gains[champion][0])}" if champion else "the seed is the champion"
    return f"Gain over the seed of {len(scored)} scored candidates; best #{best[0]} at {signed(best[1].gain)}; {now}"
