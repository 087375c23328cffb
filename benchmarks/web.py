"""The web page over a run of 10,000 candidates: how soon the lineage can be used, and what the server holds.

A synthetic run is served by `evolve ui` in a process of its own. A browser profile that has never been there opens the
lineage; the page says itself when it has drawn everything and listens. The first load of all, which also folds the
journal, stands beside the figure and must hold the same goal; so do the frames while the picture is dragged.
"""

from __future__ import annotations

import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks import synthetic_runs
from benchmarks.common import Result, main, progress

GOAL_S, GOAL_MIB = 2.0, 300
CANDIDATES, QUICK_CANDIDATES = 10_000, 500
LOADS, QUICK_LOADS = 11, 3
NAME = "synthetic"
PAGES = ("", "/lineage", "/candidates", "/candidates/100", "/techniques", "/pulls", "/pulls/1", "/search?q=knob",
         "/compare?a=1&b=2", "/experiments")  # fmt: skip
DRAG = """async () => {
  const canvas = document.querySelector("canvas"), box = canvas.getBoundingClientRect(), took = [];
  const told = (x) => ({pointerId: 7, clientX: x, clientY: box.top + 200});
  const send = (kind, x) => canvas.dispatchEvent(new PointerEvent(kind, told(x)));
  canvas.setPointerCapture = () => {};
  send("pointerdown", box.left + 300);
  for (let step = 0; step < 45; step++) {
    const began = performance.now();
    send("pointermove", box.left + 300 + 4 * step);
    await new Promise(requestAnimationFrame);
    took.push(performance.now() - began);
  }
  send("pointerup", box.left + 480);
  return took;
}"""


@contextmanager
def served(runs: Path) -> Generator[tuple[str, int]]:
    """`evolve ui` over a folder; yields its address and process."""
    command = [sys.executable, "-u", "-m", "evolve.cli", "ui", NAME, "--out", str(runs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process.pid
        process.send_signal(signal.SIGINT)
        process.wait(20)


def peak_mib(pid: int) -> float:
    """The greatest resident memory that a process ever had."""
    told = Path(f"/proc/{pid}/status").read_text()
    return round(int(told.partition("VmHWM:")[2].split()[0]) / 1024, 1)


def load(browser: Any, address: str) -> tuple[float, list[float]]:
    """Seconds from asking for the lineage to a drawn, listening page in a fresh profile, and frames of a drag in ms."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    where = urlsplit(address)
    origin = f"{where.scheme}://{where.netloc}"
    page.goto(f"{origin}/static/icon.svg?{where.query}")
    began = time.perf_counter()
    page.goto(f"{origin}/runs/{NAME}/lineage", wait_until="commit")
    page.wait_for_selector("canvas[data-ready]", timeout=60_000)
    page.keyboard.press("Tab")  # what is pressed is answered only by a page that is not busy
    took = time.perf_counter() - began
    frames = page.evaluate(DRAG)
    context.close()
    return took, frames


def visit_all(browser: Any, address: str) -> dict[str, float]:
    """Opens every kind of page once; seconds of each."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    where = urlsplit(address)
    took: dict[str, float] = {}
    for path in PAGES:
        began = time.perf_counter()
        page.goto(f"{where.scheme}://{where.netloc}/runs/{NAME}{path}", wait_until="load")
        took[path or "run"] = round(time.perf_counter() - began, 3)
    context.close()
    return took


def measure(quick: bool) -> Result:
    """Writes the run, serves it, loads it."""
    from playwright.sync_api import sync_playwright

    count, loads = (QUICK_CANDIDATES, QUICK_LOADS) if quick else (CANDIDATES, LOADS)
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("no chromium is installed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        progress(f"writing {count} candidates")
        synthetic_runs.write(Path(folder) / NAME, count)
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        with served(Path(folder)) as (address, pid):
            first, _ = load(browser, address)
            progress(f"first load {first:.2f} s")
            told = [load(browser, address) for _ in range(loads)]
            pages = visit_all(browser, address)
            memory = peak_mib(pid)
        browser.close()
    took = sorted(seconds for seconds, _ in told)
    frames = [ms for _, each in told for ms in each]
    return Result(
        figure=round(statistics.median(took), 3),
        unit="s until the lineage of the run can be used",
        interval=(round(took[0], 3), round(took[-1], 3)),
        goal=f"under {GOAL_S:g} s with {CANDIDATES} candidates, the first load too; server under {GOAL_MIB} MiB",
        holds=max(statistics.median(took), first) < GOAL_S and memory < GOAL_MIB,
        details={
            "candidates": count,
            "loads": loads,
            "interval_is": "least and greatest",
            "first_load_s": round(first, 3),
            "server_peak_mib": memory,
            "drag_frame_ms": {"median": round(statistics.median(frames), 1), "p95": round(_p95(frames), 1)},
            "pages_s": pages,
        },
    )


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))]


if __name__ == "__main__":
    main("web", measure, __doc__ or "")
