"""Runs one model of a KernelBench-shaped problem in the sandbox: the reference in one session, the new one in another.

Weights and inputs come from seeds, so that both sessions draw the same. Knows no tolerance and no clock.
"""

import importlib
from pathlib import Path

import problem
import torch


class Runner:
    """One model. `predict` draws inputs from a seed, keeps them and answers; `train` calls it on all that is kept."""

    def __init__(self, config):
        torch.set_num_threads(config["threads"])
        torch.manual_seed(config["seed"])
        arguments = problem.get_init_inputs()
        torch.manual_seed(config["seed"])
        made = getattr(importlib.import_module(config["module"]), config["model"])
        self.model = made(*arguments).eval()
        self.kept = []
        self.calls = 0

    def train(self, examples):
        if not self.kept:
            self.kept.append(self.drawn(0))
        answer = None
        with torch.no_grad():
            while self.calls < examples or answer is None:
                answer = self.model(*self.kept[self.calls % len(self.kept)])
                self.calls += 1
        sizes = {f"size_{axis}": float(size) for axis, size in enumerate(answer.shape)}
        return {"dimensions": float(answer.dim()), **sizes}

    def predict(self, queries, *_):
        inputs = self.drawn(int(queries["seed"][0]))
        self.kept = [*self.kept[-3:], inputs]
        with torch.no_grad():
            return self.model(*inputs).detach().to(torch.float32).contiguous().numpy()

    @staticmethod
    def drawn(seed):
        torch.manual_seed(seed)
        return list(problem.get_inputs())


def start(data: Path, config: dict):
    """See `sandbox.worker.begin`."""
    return Runner(config)
