"""Pictures of the main pages for the README, out of a finished run: `python scripts/screenshots.py RUN [--out runs]`.

Writes docs/screenshots/*.png. Needs Debian's chromium and the dev extra; fonts of the machine decide how texts look.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "docs" / "screenshots"
MOST_BYTES = 150 << 10
SIZE = {"width": 960, "height": 640}
SHOTS = (("run", "", "light"), ("lineage", "/lineage", "dark"), ("candidate", "/candidates/{champion}", "light"))


def take(address: str, run: str, only: str) -> None:
    """Opens each page and writes its picture. Raises SystemExit for one that is too large to commit."""
    from playwright.sync_api import sync_playwright

    where = urlsplit(address)
    PLACE.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, path, scheme in SHOTS:
            if only and name != only:
                continue
            context = browser.new_context(viewport=SIZE, color_scheme=scheme, reduced_motion="reduce")
            page = context.new_page()
            page.goto(address)
            base = f"{where.scheme}://{where.netloc}/runs/{quote(run, safe='')}"
            page.goto(f"{base}/pulls")
            champion = page.inner_text(".pull a[href*='/candidates/'] >> nth=0").lstrip("#")
            page.goto(base + path.format(champion=champion))
            page.wait_for_timeout(600)
            file = PLACE / f"{name}.png"
            page.screenshot(path=file)
            if file.stat().st_size > MOST_BYTES:
                raise SystemExit(f"{file} has {file.stat().st_size} bytes; at most {MOST_BYTES} are kept in git")
            print(file, file.stat().st_size)
            context.close()
        browser.close()


def main() -> None:
    """Serves the run and takes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--out", default="runs")
    parser.add_argument("--only", default="", help="one of " + ", ".join(name for name, _, _ in SHOTS))
    options = parser.parse_args()
    command = [sys.executable, "-u", "-m", "evolve.cli", "ui", "--out", options.out]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()) as process:
        assert process.stdout is not None
        try:
            take(process.stdout.readline().strip(), options.run, options.only)
        finally:
            process.send_signal(signal.SIGINT)


if __name__ == "__main__":
    main()
