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

PRODUCT = """
import time
import torch
from evaluations.kernels.roofline import SLACK, measured
torch.set_num_threads(1)
a, b = torch.randn(512, 512), torch.randn(512, 512)
rates = []
for _ in range(20):
    begun = time.process_time()
    a @ b
    rates.append(2 * 512**3 / (time.process_time() - begun))
print(sorted(rates)[10] < SLACK * measured(1).flops)
"""


def says(program: str) -> str:
    """What a process of its own prints; needs the compiler that the roofline is built with."""
    if shutil.which("g++", path="/usr/bin") is None:
        (pytest.fail if os.environ.get("EVOLVE_CI") else pytest.skip)("no /usr/bin/g++")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr


def test_measuring_keeps_the_smallest_numbers_of_the_process() -> None:
    assert says(MEASURE) == "True"


def test_a_library_that_knows_this_processor_is_not_faster_than_the_roofline() -> None:
    """Whatever the width of its registers: PyTorch's matrix product comes close to it."""
    assert says(PRODUCT) == "True"


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
