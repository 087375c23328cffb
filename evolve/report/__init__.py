"""A run as one self-contained HTML page. Reads the archive and the lineage; decides nothing."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from evolve.archive import Archive
from evolve.contracts import Scored
from evolve.lineage import Lineage
from evolve.report.figures import best_so_far, funnel, payoffs


def write(archive: Archive, lineage: Lineage, path: Path) -> Path:
    """Writes the page to `path` and returns it. Works at any moment of a run."""
    import jinja2

    template = resources.files("evolve.report").joinpath("page.html").read_text()
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(template).render(_content(archive, lineage))
    path.write_text(page, encoding="utf-8")
    return path


def _content(archive: Archive, lineage: Lineage) -> dict[str, Any]:
    champion = archive.champion or archive.seed
    return {
        "settings": archive.settings,
        "archive": archive,
        "champion": champion,
        "rows": [_row(archive, k) for k in range(len(archive.attempts))],
        "spent": sum(c.verdict.alpha for c in archive.confirmations),
        "cpu_s": sum(getattr(a.outcome, "cpu_s", 0.0) for a in archive.attempts),
        "diff": lineage.diff(archive.seed.commit, champion.commit).splitlines(),
        "figures": [best_so_far(archive), funnel(archive), payoffs(archive)],
        "plotly": _plotly(),
    }


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def _row(archive: Archive, k: int) -> dict[str, Any]:
    attempt = archive.attempts[k]
    outcome = attempt.outcome
    scored = outcome if isinstance(outcome, Scored) else None
    return {
        "number": attempt.candidate.number,
        "parents": " ".join(f"#{archive.by_commit[p].number}" for p in attempt.proposal.parents),
        "proposal": attempt.proposal,
        "outcome": outcome,
        "gain": f"{scored.gain:+.4f} ± {1.96 * scored.standard_error:.4f}" if scored else "",
        "verdict": scored.verdict.decision if scored and scored.verdict else "",
        "reason": "" if scored else getattr(outcome, "reason", ""),
    }
