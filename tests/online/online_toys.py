"""A toy run whose candidates are served by a simulated production behind a real HTTP service."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from evaluations.platform import SimulatedPlatform
from evaluations.platform_server import server
from evaluations.production import ExportedPolicy, Production
from evaluations.production_truth import CHAMPION
from evaluations.world import WorldConfig
from tests import toys

SMALL = WorldConfig(users=300, first_items=150, items_per_day=2, log_days=10)
USERS = 1_500
BETTER = replace(CHAMPION, blur=0.3, bait=-1.5)
SLOW = replace(CHAMPION, latency_s=6.0)
ARMS = {"0": CHAMPION, "4": SLOW, "8": SLOW, "12": CHAMPION, "16": BETTER}
"""The toy search confirms 8 and 16; people like 16 and flee from 8."""


def production() -> SimulatedPlatform:
    arms: dict[str, ExportedPolicy] = {name: replace(ranker, name=name) for name, ranker in ARMS.items()}
    return SimulatedPlatform(Production(SMALL, USERS), {**arms, "0 twin": arms["0"], "16 twin": arms["16"]}, "0")


@contextmanager
def service(platform: SimulatedPlatform) -> Generator[str]:
    """The platform's address while the context is open."""
    there = server(platform)
    thread = threading.Thread(target=there.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{there.server_port}"
    finally:
        there.shutdown()
        thread.join()
        there.server_close()


def searched(folder: Path) -> Path:
    """A finished search whose promotions are the experiments' matter."""
    before = toys.STARTED.get("confirmation")
    toys.STARTED["confirmation"] = "experiment"
    try:
        loop = toys.toy_loop(folder)
        loop.run()
        loop._journal.close()
    finally:
        if before is None:
            del toys.STARTED["confirmation"]
    return folder
