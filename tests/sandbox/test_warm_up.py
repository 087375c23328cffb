"""A worker is warm in half the time because it leaves torch's compiler alone; no number changes by that."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).parents[2] / "sandbox" / "worker.py"
TRAIN = """
import json, sys, torch
sys.path.insert(0, {folder!r})
if {spared}:
    import worker
    worker.warm_up(True)
torch.set_num_threads(1)
torch.manual_seed(3)
model = torch.nn.Linear(5, 1)
optimizer = torch.optim.{optimizer}(model.parameters(), lr=.05)
rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4)
for _ in range(4):
    optimizer.zero_grad()
    model(torch.randn(8, 5)).square().mean().backward()
    optimizer.step()
    rates.step()
weights = [value.hex() for value in model.weight.flatten().tolist()]
print(json.dumps([weights, model.weight.requires_grad, "torch._dynamo" in sys.modules]))
"""


def trained(optimizer: str, *, spared: bool) -> tuple[list[str], bool, bool]:
    code = TRAIN.format(folder=str(WORKER.parent), optimizer=optimizer, spared=spared)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return tuple(json.loads(done.stdout))


@pytest.mark.parametrize("optimizer", ["Adagrad", "AdamW", "RMSprop"])
def test_a_warm_worker_trains_to_the_same_bits_without_importing_the_compiler(optimizer: str):
    weights, trainable, compiler = trained(optimizer, spared=True)
    assert (weights, trainable) == trained(optimizer, spared=False)[:2]
    assert not compiler


def test_a_candidate_that_asks_for_the_compiler_still_gets_it():
    ask = f"""
import sys
sys.path.insert(0, {str(WORKER.parent)!r})
import worker
worker.warm_up(True)
import torch
print(torch.compile(lambda x: x + 1, backend="eager")(torch.ones(1)).item())
"""
    done = subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "2.0"
