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
from search_spaces.kernel_spec import operators

MEASURE = """
from evaluations.kernels.roofline import measured
found = measured(1)
smallest = 5e-324
assert smallest * 1.0 > 0.0, "subnormal numbers are taken for zero"
print(min(min(rates) for rates in found.bandwidth.values()) > 0 and found.flops > 0)
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

COPY = """
import time
import numpy as np
from evaluations.kernels.roofline import SIZES, SLACK, measured
roof, slower = measured(1), []
for size in SIZES:
    x = np.ones(size // 8, np.float32)
    y, again, seconds = np.empty_like(x), 1 + (8 << 20) // size, []
    for _ in range(20):
        begun = time.process_time()
        for _ in range(again):
            np.copyto(y, x)
        seconds.append((time.process_time() - begun) / again)
    slower.append(sorted(seconds)[10] > roof.memory(size, x.nbytes, y.nbytes) / SLACK)
print(all(slower))
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


def test_a_library_that_copies_is_not_faster_than_the_roofline() -> None:
    """At any size; one whose stores pass the caches by is, where the roofline's do not."""
    assert says(COPY) == "True"


def test_what_is_written_counts_at_the_rate_of_passes_that_write_as_much_of_what_they_move() -> None:
    roof = Roofline(bandwidth={1024: (8.0, 4.0, 2.0, 1.0), 4096: (1.0, 1.0, 1.0, 1.0)}, flops=1.0)
    assert roof.memory(2048, 96, 0) == 12
    assert roof.memory(2048, 48, 48) == 48
    assert roof.memory(2048, 0, 96) == 96
    assert roof.memory(2048, 60, 36) == 36, "three eighths are written: half-way between a quarter and a half"
    assert roof.memory(4096, 48, 48) == 96
    assert roof.memory(16, 96, 0) == 12, "in a smaller set than any measured one, as in the smallest"
    assert roof.memory(2048, 0, 0) == 0


@pytest.mark.parametrize("name", operators())
def test_what_an_operator_writes_is_a_part_of_what_moves(name: str) -> None:
    spec = load(f"kernel:{name}").spec
    for case in spec.timed:
        assert 0 < spec.written(case) <= spec.bytes_of(case)


def test_a_row_that_a_gather_has_read_before_may_come_from_the_nearest_cache() -> None:
    """20,480 readings of a table of 2,000 rows are not as slow as 5 MB that are read once."""
    space = load("kernel:embedding_bag_sum")
    case = next(case for case in space.spec.timed if case.name == "small table")
    mirror = Mirror(Truth(space.spec, space.reference), case, np.random.default_rng(0))
    roof = Roofline(bandwidth={16 << 10: (100e9,) * 4, 1 << 20: (10e9,) * 4}, flops=1e15)
    rows = len(np.unique(mirror.inputs["ids"]))
    read_once = 256 * rows + 256 * case.sizes["bags"] + 8 * (case.sizes["ids_in_all"] + case.sizes["bags"])
    read_again = 256 * (case.sizes["ids_in_all"] - rows)
    fastest = (read_once / 10e9 + read_again / 100e9) / SLACK
    assert not impossible(space.spec, mirror, 1.01 * fastest, roof)
    assert "small table" in impossible(space.spec, mirror, 0.99 * fastest, roof)
