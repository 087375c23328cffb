"""Writes down what sb-obp 0.5.10 answers, for `test_off_policy.py`: `pip install sb-obp==0.5.10` in an environment of
its own, `make data`, then `python -m tests.evaluations.oracles.record_off_policy`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from obp.ope import DoublyRobust, InverseProbabilityWeighting, SelfNormalizedInverseProbabilityWeighting

from tests.evaluations.open_bandit import open_bandit, rates

PLACE = Path(__file__).parent / "off_policy.json"


def answers(reward, action, propensity, target, model):
    """Of the three estimators; `target` and `model` have shape (n, actions)."""
    given = {"reward": reward, "action": action, "pscore": propensity, "action_dist": target[:, :, None]}
    return {
        "ips": InverseProbabilityWeighting().estimate_policy_value(**given),
        "snips": SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**given),
        "doubly robust": DoublyRobust().estimate_policy_value(
            **given, estimated_rewards_by_reg_model=model[:, :, None]
        ),
    }


def main() -> None:
    log = open_bandit("bts")
    count, items = len(log["click"]), 80
    model = np.tile(rates(log, items), (count, 1))
    found = answers(log["click"], log["item"], log["propensity"], np.full((count, items), 1 / items), model)
    rng = np.random.default_rng(20261127)
    old, new = rng.dirichlet(np.ones(5), (2, 300))
    action = np.array([rng.choice(5, p=p) for p in old])
    guess, at = rng.random((300, 5)), np.arange(300)
    inputs = {
        "reward": np.round(rng.gamma(2.0, 1.0, 300), 6), "propensity": old[at, action], "target": new[at, action],
        "predicted": guess[at, action], "expected": (new * guess).sum(axis=1),
    }  # fmt: skip
    recorded = answers(inputs["reward"], action, inputs["propensity"], new, guess)
    body = {
        "open_bandit": {name: float(value) for name, value in found.items()},
        "recorded": {name: float(value) for name, value in recorded.items()},
        "inputs": {name: values.tolist() for name, values in inputs.items()},
    }
    PLACE.write_text(json.dumps(body) + "\n")


if __name__ == "__main__":
    main()
