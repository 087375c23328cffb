"""The charts of a run's page, as plotly figures. Knows the archive; not the page, the disk or what to conclude.

Colours of text and grid come from the page's style sheet, so that one figure serves dark and light.
"""

from __future__ import annotations

import html
import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from evolve.archive import Archive
from evolve.contracts import Attempt, Rejected, Scored
from evolve.report.rows import NORMAL_95

RUNGS = ("smoke", "short", "full", "replicated")
"""The funnel's rungs, in the order that every search space has them."""
SHOWN_TECHNIQUES = 30
COLOURS = {
    "went on": "rgba(128,128,128,0.35)",
    "scored": "#3b82f6",
    "promoted": "#16a34a",
    "not promoted": "#3b82f6",
    "failed": "#dc2626",
    "timed_out": "#d97706",
    "cheated": "#a21caf",
    "rejected": "#78716c",
    "refused": "#78716c",
}
GRID = "rgba(128,128,128,0.25)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payoff:
    """What a technique brought: mean gain over the parents it was applied to, and that mean's standard error."""

    technique: str
    mean: float
    standard_error: float
    scored: int
    broken: int


def progress(archive: Archive) -> Any:
    """Gain over the seed of each scored candidate, and of the champion of the time. None where nothing is scored."""
    import plotly.graph_objects as go

    scored = [(a, a.outcome) for a in archive.attempts if isinstance(a.outcome, Scored)]
    if not scored:
        return None
    figure = go.Figure()
    for rung in _rungs(archive):
        points = [(a, o) for a, o in scored if o.rung == rung]
        if points:
            figure.add_trace(_dots(rung, points))
    _add_best(figure, scored)
    _add_champions(figure, archive)
    if archive.floor is not None:
        least = archive.floor.minimum_effect
        figure.add_hrect(y0=-least, y1=least, fillcolor="rgba(128,128,128,0.15)", line_width=0, layer="below")
    top = max(o.gain + NORMAL_95 * o.standard_error for _, o in scored)
    reach = max(top, NORMAL_95 * scored[0][1].standard_error, 1e-9)
    lowest = min(o.gain - NORMAL_95 * o.standard_error for _, o in scored)
    figure.update_yaxes(title="gain over the seed", range=[max(lowest, -reach) - 0.08 * reach, 1.12 * reach])
    figure.update_xaxes(title="proposal", rangemode="tozero", dtick=_whole_step(len(archive.attempts)))
    return styled(figure, height=420)


def funnel(archive: Archive) -> Any:
    """How many candidates reached each rung, and what became of them there. None before the first proposal."""
    import plotly.graph_objects as go

    rows = funnel_rows(archive)
    if not any(sum(counts.values()) for _, counts in rows):
        return None
    figure = go.Figure()
    stages = [name for name, _ in rows]
    for kind, colour in COLOURS.items():
        counts = [row.get(kind, 0) for _, row in rows]
        if any(counts):
            label = kind.replace("_", " ")
            bar = go.Bar(name=label, y=stages, x=counts, orientation="h", marker_color=colour, text=counts)
            figure.add_trace(bar.update(texttemplate="%{text:d}", textposition="inside", insidetextanchor="middle"))
    figure.update_layout(barmode="stack")
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title="proposals", dtick=_whole_step(len(archive.attempts) + len(archive.refusals)))
    return styled(figure, height=120 + 44 * len(rows))


def funnel_rows(archive: Archive) -> list[tuple[str, dict[str, int]]]:
    """Stage -> kind of ending -> count. A candidate counts at each rung it reached: `went on`, or how it ended."""
    gates: Counter[str] = Counter(refusal.gate for refusal in archive.refusals)
    outcomes = [a.outcome for a in archive.attempts]
    gates.update(o.gate for o in outcomes if isinstance(o, Rejected))
    rows: list[tuple[str, dict[str, int]]] = [(f"gate: {gate}", {"refused": n}) for gate, n in sorted(gates.items())]
    ran = [o for o in outcomes if not isinstance(o, Rejected)]
    rungs = _rungs(archive)
    for place, rung in enumerate(rungs):
        row = Counter(o.kind for o in ran if o.rung == rung)
        row["went on"] = sum(rungs.index(o.rung) > place for o in ran)
        if sum(row.values()):
            rows.append((rung, dict(row)))
    if archive.confirmations:
        promoted = sum(c.promoted for c in archive.confirmations)
        row = {"promoted": promoted, "not promoted": len(archive.confirmations) - promoted}
        rows.append(("confirmation", row))
    return rows


def techniques(archive: Archive) -> Any:
    """The payoff of each technique, best first, with 95 % bars. None where nothing is scored."""
    import plotly.graph_objects as go

    found = [p for p in payoffs(archive) if p.scored]
    if not found:
        return None
    shown = found[:SHOWN_TECHNIQUES]
    bars = {"type": "data", "array": [NORMAL_95 * p.standard_error for p in shown], "thickness": 1.2, "width": 3}
    counts = [f"{p.scored} scored, {p.broken} broken" for p in shown]
    names = [f"{html.escape(p.technique)} ×{p.scored + p.broken}" for p in shown]
    dots = go.Scatter(x=[p.mean for p in shown], y=names, error_x=bars, mode="markers", showlegend=False)
    dots.update(marker={"size": 9, "color": COLOURS["scored"]}, customdata=counts)
    dots.update(hovertemplate="%{y}<br>%{x:+.4f}<br>%{customdata}<extra></extra>")
    figure = go.Figure(dots)
    figure.add_vline(x=0, line_width=1, line_color="gray")
    figure.update_xaxes(title="gain over the parent")
    figure.update_yaxes(autorange="reversed")
    return styled(figure, height=110 + 26 * len(shown))


def payoffs(archive: Archive) -> list[Payoff]:
    """Every technique that was tried, greatest mean gain over the parent first; those that only broke come last."""
    by_name: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in archive.attempts:
        by_name[attempt.proposal.technique].append(attempt)
    found = [_payoff(archive, name, attempts) for name, attempts in by_name.items()]
    return sorted(found, key=lambda p: (p.scored == 0, -p.mean if p.scored else 0.0, p.technique))


def _payoff(archive: Archive, name: str, attempts: list[Attempt]) -> Payoff:
    gains: list[float] = []
    variances: list[float] = []
    for attempt in attempts:
        if isinstance(attempt.outcome, Scored):
            parent, parent_se = _best_parent(archive, attempt)
            gains.append(attempt.outcome.gain - parent)
            variances.append(attempt.outcome.standard_error**2 + parent_se**2)
    count = len(gains)
    mean = sum(gains) / count if count else math.nan
    within = math.sqrt(sum(variances)) / count if count else math.nan
    # Gains of one technique differ between parents by more than the measurement's own error.
    between = math.sqrt(sum((g - mean) ** 2 for g in gains) / (count - 1) / count) if count > 1 else 0.0
    return Payoff(
        technique=name,
        mean=mean,
        standard_error=max(within, between),
        scored=count,
        broken=len(attempts) - count,
    )


def _best_parent(archive: Archive, attempt: Attempt) -> tuple[float, float]:
    """The gain and standard error of the better parent; the seed's gain is zero by definition."""
    parents = [archive.by_commit[commit].number for commit in attempt.proposal.parents]
    outcomes = [archive.outcome(number) for number in parents]
    known = [(o.gain, o.standard_error) if isinstance(o, Scored) else (0.0, 0.0) for o in outcomes]
    return max(known, default=(0.0, 0.0))


def _dots(rung: str, points: list[tuple[Attempt, Scored]]) -> Any:
    import plotly.graph_objects as go

    shades = {"smoke": "#94a3b8", "short": "#8b9dc3", "full": "#3b82f6", "replicated": "#7c3aed"}
    colour = shades.get(rung, "#3b82f6")
    bars = {"type": "data", "array": [NORMAL_95 * o.standard_error for _, o in points], "thickness": 1, "width": 2}
    dots = go.Scatter(name=rung, x=[a.candidate.number for a, _ in points], y=[o.gain for _, o in points])
    dots.update(mode="markers", error_y=bars, marker={"size": 7, "color": colour}, opacity=0.85)
    names = [html.escape(a.proposal.technique) for a, _ in points]
    return dots.update(text=names, hovertemplate="#%{x} %{text}<br>%{y:+.4f}<extra>" + html.escape(rung) + "</extra>")


def _add_best(figure: Any, scored: list[tuple[Attempt, Scored]]) -> None:
    """The greatest gain so far as a dotted staircase: what a search without confirmation would claim."""
    import plotly.graph_objects as go

    numbers = [0, *(a.candidate.number for a, _ in scored)]
    heights = list(accumulate((0.0, *(o.gain for _, o in scored)), max))
    line = go.Scatter(name="best so far, not confirmed", x=numbers, y=heights, mode="lines", hoverinfo="skip")
    figure.add_trace(line.update(line={"shape": "hv", "color": "gray", "width": 1.5, "dash": "dot"}))


def _add_champions(figure: Any, archive: Archive) -> None:
    """The champion's gain as a staircase, and a star at each promotion."""
    import plotly.graph_objects as go

    gains = {a.candidate.number: a.outcome.gain for a in archive.attempts if isinstance(a.outcome, Scored)}
    numbers = [0, *(c.number for c in archive.confirmations if c.promoted)]
    heights = [0.0, *(gains[number] for number in numbers[1:])]
    last = archive.attempts[-1].candidate.number
    line = go.Scatter(name="champion", x=[*numbers, last], y=[*heights, heights[-1]], mode="lines", hoverinfo="skip")
    figure.add_trace(line.update(line={"shape": "hv", "color": COLOURS["promoted"], "width": 2}))
    if len(numbers) > 1:
        stars = go.Scatter(name="promotion", x=numbers[1:], y=heights[1:], mode="markers")
        stars.update(hovertemplate="#%{x} promoted<br>%{y:+.4f}<extra></extra>")
        figure.add_trace(stars.update(marker={"symbol": "star", "size": 15, "color": COLOURS["promoted"]}))


def _rungs(archive: Archive) -> list[str]:
    """The known rungs, then any other that an outcome names."""
    named = {a.outcome.rung for a in archive.attempts if not isinstance(a.outcome, Rejected)}
    return [*RUNGS, *sorted(named.difference(RUNGS))]


def _whole_step(most: int) -> int | None:
    """The step of an axis that counts: one where plotly would choose fractions, else plotly's own."""
    return 1 if most <= 10 else None


def styled(figure: Any, *, height: int) -> Any:
    """The page's look: transparent, with a legend above."""
    figure.update_layout(
        template="none",
        height=height,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 8, "r": 8, "t": 40, "b": 8},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        font={"family": "system-ui, sans-serif", "size": 12},
        hovermode="closest",
        hoverlabel={"bgcolor": "#292524"},
    )
    figure.update_xaxes(gridcolor=GRID, zerolinecolor="gray", automargin=True)
    figure.update_yaxes(gridcolor=GRID, zerolinecolor="gray", automargin=True)
    return figure
