"""The machine's roofline: measured in the judge's process, whose arithmetic it leaves alone; and what it says is too
fast to be true."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from evaluations.kernels.diagnosis import impossible
from evaluations.kernels.mirror import Mirror
from evaluations.kernels.roofline import SLACK, Roofline
from evaluations.kernels.truth import Truth
from search_spaces.kernel_space import load

MEASURE = """
from evaluations.kernels.roofline import measured
found = measured(1)
smallest = 5e-324
assert smallest * 1.0 > 0.0, "subnormal numbers are taken for zero"
print(min(found.rates) > 0 and found.flops > 0)
"""


def test_measuring_keeps_the_smallest_numbers_of_the_process():
    if shutil.which("g++", path="/usr/bin") is None:
        (pytest.fail if os.environ.get("EVOLVE_CI") else pytest.skip)("no /usr/bin/g++")
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "True", done.stderr


def test_a_row_that_a_gather_has_read_before_may_come_from_the_nearest_cache() -> None:
    """20,480 readings of a table of 2,000 rows are not as slow as 5 MB that are read once."""
    space = load("kernel:embedding_bag_sum")
    case = next(case for case in space.spec.timed if case.name == "small table")
    mirror = Mirror(Truth(space.spec, space.reference), case, np.random.default_rng(0))
    roof = Roofline(bandwidth={16 << 10: 100e9, 1 << 20: 10e9}, flops=1e15)
    rows = len(np.unique(mirror.inputs["ids"]))
    read_once = 256 * rows + 256 * case.sizes["bags"] + 8 * (case.sizes["ids_in_all"] + case.sizes["bags"])
    read_again = 256 * (case.sizes["ids_in_all"] - rows)
    fastest = (read_once / 10e9 + read_again / 100e9) / SLACK
    assert not impossible(space.spec, mirror, 1.01 * fastest, roof)
    assert "small table" in impossible(space.spec, mirror, 0.99 * fastest, roof)
