"""A language model in a file on this machine drives whole runs with no network: what its answers come to, and what the
catalogue reaches at equal compute.

Budget 30 on each space with Qwen2.5-Coder-1.5B-Instruct (`scripts/fetch_test_model.py 1.5b`). Three rates, kept apart:
landing (answers whose candidate ran), semantic failure (ran, but not as declared) and effective pass (gained more than
twice its standard error as declared). The catalogue gets the CPU seconds of the model's candidates and, as the model
costs compute too, the seconds that its answers took. A run that was interrupted is continued. `--quick` takes the 0.5B.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.catalog import CatalogProposer
from benchmarks.common import Result, main, progress
from benchmarks.rivals import Capped, spent_cpu_s
from benchmarks.runs import PLACE, QUICK_BUDGET, finished
from evolve.agent_wiring import models_folder, rates_of
from evolve.archive import Archive
from evolve.calls import CallFile
from evolve.config import StartConfig, cache_folder
from evolve.contracts import Proposer, SearchSpace, Tool
from evolve.run_folder import RunFolder
from evolve.wiring import open_run

BUDGET, SEED = 30, 0
SPACES = ("next_item", "video_ranking")
FULL, QUICK = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
LEAST_LANDING = 0.5
SCRIPT = [
    "name: recent clicks\nhypothesis: it helps\nmechanism: by scale\n```python\n"
    f"def learning_rate_factor(step: int, steps: int) -> float:\n    return 1.0 - {part} * step / steps\n```\n"
    for part in (0.1, 0.2, 0.3)
]


def driven(space: str, model: str, budget: int, place: Path) -> tuple[RunFolder, Archive]:
    """A run by the command line, as users start it."""
    folder, archive, _ = finished(space, SEED, budget=budget, place=place, more=["--model", model])
    return folder, archive


def answered_s(folder: RunFolder) -> float:
    """The seconds that the model took for all of its answers."""
    bodies = CallFile(folder.calls, read_only=True).kept()
    return sum(body["answer"]["latency_s"] for body in bodies if body.get("answer"))


def catalogue(space: str, cpu_s: float, place: Path) -> Archive:
    """The same loop with the catalogue, until its candidates have used as much."""

    def capped(loaded: SearchSpace, tools: Sequence[Tool]) -> Proposer:
        return Capped(inner=CatalogProposer(space=loaded), cpu_s=cpu_s)

    folder = RunFolder(place / "catalogue" / f"{space}-{SEED}")
    folder.path.mkdir(parents=True, exist_ok=True)
    progress(f"the catalogue on {space}, {cpu_s:.0f} CPU seconds")
    config = StartConfig(space=space, seed=SEED, budget=10_000).checked()
    with open_run(config, folder, cache_folder(), proposer=capped) as run:
        run.loop.run()
        return run.loop.archive


def champion(archive: Archive) -> dict[str, Any]:
    """The champion of a finished run, on test labels that were looked at once."""
    assert archive.champion is not None and archive.final is not None
    number, metric = archive.champion.number, archive.final.metric
    rows, verdict = archive.final.rows, archive.final.verdict
    made = next((a.proposal for a in archive.attempts if a.candidate.number == number), None)
    return {
        "champion": f"#{number} {made.technique if made else 'the seed'}",
        "by": made.proposer if made else "nobody",
        "test": {name: round(row[metric], 4) for name, row in rows.items() if metric in row},
        "over_the_seed": [round(value, 4) for value in (verdict.effect, verdict.low, verdict.high)],
        "candidates": archive.counted,
        "candidates_cpu_s": round(spent_cpu_s(archive.attempts)),
    }


def compared(space: str, model: str, budget: int, place: Path) -> dict[str, Any]:
    """The model's run beside the catalogue's."""
    folder, archive = driven(space, model, budget, place)
    took = answered_s(folder)
    own = sum(attempt.proposal.proposer == model for attempt in archive.attempts)
    row = {
        **{name: value for name, value in rates_of(folder).items() if name != "usd"},
        "proposals_of_the_model": own,
        "answers_took_s": round(took),
        **champion(archive),
    }
    rival = catalogue(space, spent_cpu_s(archive.attempts) + took, place)
    return {"model": row, "catalogue": champion(rival)}


def measure(quick: bool) -> Result:
    """Both spaces; quick: one of them, with the small model or, where there is none, with a script."""
    if quick:
        with tempfile.TemporaryDirectory() as scratch:
            script = Path(scratch) / "script.jsonl"
            script.write_text("".join(json.dumps(answer) + "\n" for answer in SCRIPT))
            small = (models_folder() / QUICK).is_file()
            model = f"local/{QUICK}" if small else f"scripted/{script}"
            progress(f"quick: {model}")
            folder, archive = driven("video_ranking", model, QUICK_BUDGET, Path(scratch) / "runs")
            row = {"model": {**rates_of(folder), **champion(archive)}}
            return result({"video_ranking": row}, model)
    if not (models_folder() / FULL).is_file():
        raise SystemExit(f"{FULL} is missing: python scripts/fetch_test_model.py 1.5b")
    model = f"local/{FULL}"
    place = PLACE / "local_model"
    return result({space: compared(space, model, BUDGET, place) for space in SPACES}, model)


def result(rows: Mapping[str, Mapping[str, Any]], model: str) -> Result:
    """The landing rate over all answers, with its binomial interval, and everything beside it."""
    answers = sum(row["model"]["answers"] for row in rows.values())
    landed = sum(row["model"]["landed"] for row in rows.values())
    rng = np.random.default_rng(0)
    draws = rng.beta(0.5 + landed, 0.5 + answers - landed, 10_000)
    rate = landed / answers if answers else 0.0
    own = min(row["model"].get("proposals_of_the_model", 0) for row in rows.values())
    return Result(
        figure=round(rate, 3),
        unit="landing rate: candidates that ran over answers of the model, both spaces",
        interval=(round(float(np.quantile(draws, 0.025)), 3), round(float(np.quantile(draws, 0.975)), 3)),
        goal=f"at least {LEAST_LANDING}, and half of each run's {BUDGET} proposals are the model's own",
        holds=rate >= LEAST_LANDING and own >= BUDGET / 2,
        details={"model": model, **rows},
    )


if __name__ == "__main__":
    main("local_model", measure, __doc__ or "")
