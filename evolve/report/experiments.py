"""Charts of experiments: the confidence sequence of each, day by day, and proxies against the north star.

Knows the archive and lessons; concludes nothing. Colours of text and grid come from the page's style sheet.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evolve.archive import Archive
from evolve.campaign import Experiment
from evolve.report.figures import COLOURS, styled
from evolve.report.rows import NORMAL_95

if TYPE_CHECKING:
    from evaluations.experiments.lesson_table import Lesson

SHADES = ("#3b82f6", "#16a34a", "#d97706", "#a21caf", "#dc2626", "#0891b2")


def rows(archive: Archive) -> list[dict[str, str]]:
    """Each experiment as words, for a table; texts are not yet escaped."""
    found: list[dict[str, str]] = []
    for one in archive.campaign.experiments:
        last = one.looks[-1].decision if one.looks else None
        seen = last is not None and last.users > 0
        found.append(
            {
                "number": str(one.number),
                "kind": one.kind,
                "arms": f"#{one.challenger} against #{one.control}",
                "days": f"{one.begun} to {one.looks[-1].day if one.looks else one.begun}",
                "effect": f"{last.effect:+.2%} [{last.low:+.2%}, {last.high:+.2%}]" if last and seen else "-",
                "shrunk": f"{last.shrunk:+.2%}" if last and seen and last.shrunk is not None else "-",
                "decision": str(last.action) if last else "-",
                "reason": last.reason if last else "",
            }
        )
    return found


def sequences(archive: Archive) -> Any:
    """The north star's effect with its confidence sequence, by the day on which it was looked at. None before any."""
    import plotly.graph_objects as go

    shown = [one for one in archive.campaign.experiments if _looks(one)]
    if not shown:
        return None
    figure = go.Figure()
    for place, one in enumerate(shown):
        colour, looks = SHADES[place % len(SHADES)], _looks(one)
        days = [look.day for look in looks]
        ends = [look.decision.high for look in looks] + [look.decision.low for look in reversed(looks)]
        band = go.Scatter(x=[*days, *reversed(days)], y=ends, fill="toself", line={"width": 0}, opacity=0.2)
        figure.add_trace(band.update(fillcolor=colour, showlegend=False, hoverinfo="skip"))
        name = html.escape(f"{one.number}: #{one.challenger} against #{one.control}")
        line = go.Scatter(x=days, y=[look.decision.effect for look in looks], mode="lines", name=name)
        figure.add_trace(line.update(line={"color": colour, "width": 2}))
    figure.add_hline(y=0, line_width=1, line_color="gray")
    figure.update_xaxes(title="day")
    figure.update_yaxes(title="north star against the control", tickformat="+.0%")
    return styled(figure, height=420)


def calibration(lessons: Sequence[Lesson]) -> Any:
    """Each finished experiment: a proxy's effect and the north star's, with 95 % bars. None before the first."""
    import plotly.graph_objects as go

    names = sorted({name for lesson in lessons for name in lesson.proxies})
    if not names:
        return None
    figure = go.Figure()
    for place, name in enumerate(names):
        having = [lesson for lesson in lessons if name in lesson.proxies]
        dots = go.Scatter(
            x=[lesson.proxies[name].value for lesson in having],
            y=[lesson.north_star.value for lesson in having],
            mode="markers",
            name=html.escape(name),
        )
        bars = {"type": "data", "array": [NORMAL_95 * lesson.north_star.error for lesson in having]}
        dots.update(error_y=bars, marker={"color": SHADES[place % len(SHADES)], "size": 8})
        figure.add_trace(dots.update(text=[html.escape(f"{one.name} ({one.persona})") for one in having]))
    figure.add_hline(y=0, line_width=1, line_color=COLOURS["went on"])
    figure.update_xaxes(title="proxy against the control")
    figure.update_yaxes(title="north star against the control", tickformat="+.0%")
    return styled(figure, height=420)


def calibration_page(lessons: Sequence[Lesson]) -> str:
    """The plot as one self-contained page."""
    from plotly import io

    figure = calibration(lessons)
    if figure is None:
        return "<!doctype html><title>calibration</title><p>No experiment has ended with complete cohorts yet.</p>"
    return str(io.to_html(figure, full_html=True, include_plotlyjs=True))


def _looks(one: Experiment) -> list[Any]:
    return [look for look in one.looks if look.decision.users and abs(look.decision.low) < float("inf")]
