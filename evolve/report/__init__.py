"""A run as one self-contained HTML page. Reads the archive and the lineage; decides nothing, fetches nothing.

Texts of proposals and outcomes come from strangers: every one of them is escaped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evolve.archive import Archive
from evolve.error_budget import ALPHA
from evolve.errors import RunError
from evolve.lineage import Lineage
from evolve.report import experiments, rows


def write(archive: Archive, lineage: Lineage, path: Path) -> Path:
    """Writes the page of a run at any stage to `path`, whole or not at all; returns `path`.

    Equal archives give equal pages. Raises RunError for a run that has not recorded its start.
    """
    if not archive.candidates:
        raise RunError("the run has recorded no start, so there is nothing to report", hint="Start it with --resume.")
    page = render(archive, lineage)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".new")
    unfinished.write_text(page, encoding="utf-8")
    unfinished.replace(path)
    return path


def render(archive: Archive, lineage: Lineage) -> str:
    """The page as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("evolve.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["signed"] = rows.signed
    return environment.get_template("page.html").render(_context(archive, lineage))


def _context(archive: Archive, lineage: Lineage) -> dict[str, Any]:
    table = rows.candidates(archive)
    metrics, final_rows = rows.final_table(archive)
    cpu = rows.cpu_seconds(archive)
    champion = archive.champion if archive.champion is not None else archive.seed
    diff = "" if champion.number == 0 else lineage.diff(archive.seed.commit, champion.commit)
    return {
        "archive": archive,
        "settings": archive.settings,
        "metric": archive.settings.get("metric", "the metric"),
        "champion": champion,
        "champion_row": table[champion.number],
        "champion_gain": rows.within(outcome) if (outcome := rows.champion_outcome(archive)) else "",
        "again": rows.again(archive.settings),
        "table": table,
        "tree": rows.tree(archive, table),
        "final_metrics": metrics,
        "final_rows": final_rows,
        "cpu": cpu,
        "cpu_total": sum(cpu.values()),
        "tokens": sum(a.proposal.tokens for a in archive.attempts),
        "cost_usd": sum(a.proposal.cost_usd for a in archive.attempts),
        "alpha_spent": sum(c.verdict.alpha for c in archive.confirmations),
        "alpha_budget": ALPHA,
        "diff": rows.diff_lines(diff),
        "charts": _charts(archive),
        "experiments": experiments.rows(archive),
    }


def _charts(archive: Archive) -> dict[str, Any]:
    """The charts as HTML by name, for those that have anything to show; plotly.js goes in once, with the first."""
    from markupsafe import Markup
    from plotly import io

    from evolve.report import figures

    drawn = {
        "progress": figures.progress(archive),
        "funnel": figures.funnel(archive),
        "techniques": figures.techniques(archive),
        "experiments": experiments.sequences(archive),
    }
    charts: dict[str, Any] = {}
    for name, figure in drawn.items():
        if figure is not None:
            options = {"displaylogo": False, "responsive": True, "displayModeBar": False}
            piece = io.to_html(figure, config=options, full_html=False, include_plotlyjs=not charts, div_id=name)
            charts[name] = Markup(piece)  # noqa: S704 - plotly's own markup; it escapes its JSON, we escape its texts
    return charts
