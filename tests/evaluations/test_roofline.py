"""The machine's roofline is measured inside the judge's process, and must leave its arithmetic alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

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
