"""The plots of a report, as HTML fragments that need plotly.js on the page. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from evolve.archive import Archive
from evolve.contracts import Attempt, Scored


def best_so_far(archive: Archive) -> str:
    """Each candidate's gain over the seed with its 95 % interval, and the champions' as a step line."""
    from plotly import graph_objects as go

    scored = [(a, a.outcome) for a in archive.attempts if isinstance(a.outcome, Scored)]
    figure = go.Figure()
    figure.add_scatter(
        x=[a.candidate.number for a, _ in scored],
        y=[o.gain for _, o in scored],
        error_y={"array": [1.96 * o.standard_error for _, o in scored], "thickness": 1},
        mode="markers",
        name="candidate",
        text=[a.proposal.technique for a, _ in scored],
    )
    steps = [(0, 0.0), *_champions(archive), (len(archive.candidates) - 1, None)]
    levels = [gain for _, gain in steps]
    levels[-1] = levels[-2]
    figure.add_scatter(x=[n for n, _ in steps], y=levels, mode="lines", line={"shape": "hv"}, name="champion")
    return _html(figure, "Gain over the seed", "candidate", "gain")


def _champions(archive: Archive) -> list[tuple[int, float | None]]:
    gains = {a.candidate.number: a.outcome.gain for a in archive.attempts if isinstance(a.outcome, Scored)}
    return [(c.number, gains.get(c.number, 0.0)) for c in archive.confirmations if c.promoted]


def funnel(archive: Archive) -> str:
    """How many candidates ended where."""
    from plotly import graph_objects as go

    ends = Counter(_end(a) for a in archive.attempts)
    ends["refused by a gate"] = len(archive.refusals)
    ends["confirmed"] = sum(c.promoted for c in archive.confirmations)
    figure = go.Figure(go.Bar(x=list(ends.values()), y=list(ends), orientation="h"))
    return _html(figure, "Where candidates ended", "candidates", "")


def _end(attempt: Attempt) -> str:
    outcome = attempt.outcome
    return f"scored at {outcome.rung}" if isinstance(outcome, Scored) else outcome.kind.replace("_", " ")


def payoffs(archive: Archive) -> str:
    """The gain of each technique over its parent, every use of it."""
    from plotly import graph_objects as go

    gains = {a.candidate.commit: a.outcome.gain for a in archive.attempts if isinstance(a.outcome, Scored)}
    uses: defaultdict[str, list[float]] = defaultdict(list)
    for attempt in archive.attempts:
        if isinstance(attempt.outcome, Scored):
            before = gains.get(attempt.proposal.parents[0], 0.0)
            uses[attempt.proposal.technique].append(attempt.outcome.gain - before)
    figure = go.Figure()
    for name in sorted(uses, key=lambda name: sum(uses[name]) / len(uses[name])):
        figure.add_scatter(x=uses[name], y=[name] * len(uses[name]), mode="markers", name=name, showlegend=False)
    figure.update_layout(height=max(320, 24 * len(uses) + 120))
    return _html(figure, "Gain over the parent, by technique", "gain", "")


def _html(figure: Any, title: str, x: str, y: str) -> str:
    figure.update_layout(
        title=title,
        xaxis_title=x,
        yaxis_title=y,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": "#8a8f98"},
        margin={"l": 10, "r": 10, "t": 40, "b": 40},
    )
    figure.update_xaxes(gridcolor="rgba(128,128,128,.25)", automargin=True)
    figure.update_yaxes(gridcolor="rgba(128,128,128,.25)", automargin=True)
    return figure.to_html(full_html=False, include_plotlyjs=False, config={"responsive": True, "displaylogo": False})
