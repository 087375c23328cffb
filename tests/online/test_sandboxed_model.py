"""A real candidate as a policy of the simulated production: fitted in a sandbox, asked in batches, fitted again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from evaluations.experiments.budget import Season
from evaluations.experiments.desk import Desk
from evaluations.experiments.evidence import Bet
from evaluations.experiments.rules import Plan
from evaluations.platform import SimulatedPlatform
from evaluations.production import Production
from evaluations.production_log import ProductionLog
from evaluations.sandboxed_model import Fits, SandboxedModel
from evaluations.world import WorldConfig
from evaluations.world_log import generate_log
from evolve.contracts import Action
from sandbox.local import LocalSandbox
from search_spaces.space import load

SMALL = WorldConfig(users=200, first_items=120, items_per_day=2, log_days=8)
BREAKS = "def serve(model, batch):\n    raise ValueError('no')\n"


class Scene:
    """A small production with the log that models learn from."""

    def __init__(self, folder: Path, *, every: int = 28, workers: int = 1) -> None:
        space = load("video_ranking")
        self.production = Production(SMALL, 300)
        self.production.workers = workers
        log = generate_log(SMALL)
        self.log = ProductionLog(self.production, log, len(log.items["born"]) + 200)
        self.fits = Fits(
            space=space, sandbox=LocalSandbox(), log=self.log, folder=folder, seed=1, rung=space.rungs[0], every=every
        )
        self.seed, self.models = dict(space.seed), list[SandboxedModel]()

    def model(self, name: str, **files: str) -> SandboxedModel:
        self.models.append(SandboxedModel(name, {**self.seed, **{f"{k}.py": v for k, v in files.items()}}, self.fits))
        return self.models[-1]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    for model in made.models:
        model.close()


def test_a_candidate_serves_visits_and_its_days_are_the_same_again(scene, tmp_path):
    days = [scene.production.live((scene.model("seed"),)) for _ in range(2)]
    again = Scene(tmp_path / "again", workers=2)
    model = again.model("seed")
    others = [again.production.live((model,)) for _ in range(2)]
    model.close()
    assert not model.fault
    for day, other in zip(days, others, strict=True):
        assert np.array_equal(day.item, other.item) and np.array_equal(day.watch_s, other.watch_s)


def test_scores_are_standardised_so_that_a_scale_gains_nothing(scene):
    text = scene.seed["train.py"].replace("return model(batch)", "return 1000 * model(batch) + 7")
    first = scene.production.live((scene.model("loud", train=text),))
    quiet = Scene(scene.fits._folder / "quiet")
    other = quiet.production.live((quiet.model("seed"),))
    quiet.models[0].close()
    assert (first.item == other.item).mean() > 0.99


def test_models_are_fitted_again_as_days_go_by_to_the_services_own_log(tmp_path):
    scene = Scene(tmp_path, every=2)
    model = scene.model("seed")
    for _ in range(3):
        scene.production.live((model,))
    model.close()
    days = [np.load(tmp_path / f"fit-{fit}" / "day.npy") for fit in (0, 1)]
    assert days[0].max() == -1 and days[1].max() == 1


def test_a_training_folder_tells_nothing_of_the_day_that_is_to_come(scene):
    for _ in range(2):
        scene.production.live((scene.model("seed"),))
    folder = scene.log.training_folder(scene.fits._folder / "look")
    day, known = np.load(folder / "day.npy"), np.load(folder / "returned_known.npy")
    assert day.max() == 1 and not known[day == 1].any() and known[day < 1].all()


def test_a_candidate_that_breaks_while_it_serves_is_counted_and_rolled_back(scene):
    champion, broken = scene.model("champion"), scene.model("broken")
    broken._tree = {**scene.seed, "train.py": scene.seed["train.py"].partition("def serve")[0] + BREAKS}
    platform = SimulatedPlatform(scene.production, {"champion": champion, "broken": broken}, "champion")
    plan = Plan(bet=Bet(mean=0.01, sd=0.01), harm_bet=Bet(mean=0.3, sd=0.3), least_users=50)
    desk = Desk(Season(level=0.05, tests=1), plan)
    shares = {"champion": 0.5, "broken": 0.5}
    desk.open("e", "champion", shares)
    platform.launch("e", shares, 1.0)
    for day in range(9):
        desk.tell(platform.observe(day))
    found = desk.decide("e", 0, False)["broken"]
    assert found.action is Action.ROLL_BACK and "crash_free" in found.reason and "no" in broken.fault
