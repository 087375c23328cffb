"""The short prompt for small models: one file in outline, one part to write anew, and an answer that can be applied."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from agents import brief
from agents.diffs.answer import apply_answer
from agents.diffs.change import Applied
from agents.experience import read
from agents.models.words import tokens_in
from agents.offline import SMALL
from agents.persona_files import read_roles
from agents.prompt import Situation
from agents.tools import ReadJournal
from evolve.contracts import Candidate, History, Move, NoiseFloor
from search_spaces.space import load
from tests.agents.agent_toys import agent, models, scripted

FLOOR = NoiseFloor(
    metric="value", score=0.5, short_score=0.4, seed_sd=0.01, paired_se=0.01, minimum_effect=0.02, seeds=4, cpu_s=1.0
)
ANSWER = '''```python
def error(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Binary cross-entropy of softened targets."""
    soft = 0.9 * target + 0.05
    return functional.binary_cross_entropy_with_logits(logit, soft, weight=weight)
```
name: soft targets
hypothesis: Less certain targets rank better.
mechanism: A twentieth is moved to the other answer.
'''


HOLLOW = ANSWER.replace("    soft = 0.9 * target + 0.05\n", "").replace(ANSWER.split("\n")[4] + "\n", "")


def history(space, number: int = 1) -> History:
    seed = Candidate(number=0, commit="seed", parents=(), tree=space.seed, fingerprint="seed")
    return History(
        number=number, seed=seed, champion=seed, floor=FLOOR, attempts=(), pending=(),
        tried=lambda tree: tree == space.seed,
    )  # fmt: skip


def situation(space, role, **changes) -> Situation:
    past = history(space)
    given = Situation(
        space=space, history=past, role=role, move=Move.EXPLORE, moves={}, parent=read(space, past).parents[0],
        guards=(), tools=(ReadJournal(),), steering=(), changed_lines=80,
    )  # fmt: skip
    return replace(given, **changes)


@pytest.mark.parametrize("name", ["video_ranking", "next_item"])
def test_every_persona_gets_one_part_in_a_prompt_that_fits(name):
    space = load(name)
    roles = [role for role in read_roles().values() if role.editable(space.editable)]
    assert len(roles) == 3
    for role in roles:
        system, user = brief.build(situation(space, role), 3_000)
        assert tokens_in(system.text + user.text) <= 3_000 and user.text.count("Rewrite `") == 1
        assert "read_journal" not in system.text + user.text, "a small model gets no tools"


def test_what_no_budget_holds_is_left_out_before_the_part_itself():
    space = load("next_item")
    _, user = brief.build(situation(space, read_roles()["architecture"]), 800)
    assert "in outline" not in user.text and "Rewrite `" in user.text


def test_a_persons_wish_is_passed_on():
    space = load("video_ranking")
    _, user = brief.build(situation(space, read_roles()["reward"], steering=("try gating",)), 3_000)
    assert "try gating" in user.text


def test_a_whole_part_in_a_fence_becomes_a_proposal(tmp_path):
    space = load("video_ranking")
    asked = models(tmp_path, scripted(["name: no code\nhypothesis: none", HOLLOW, ANSWER]))
    roles = {p: role for p, role in read_roles().items() if p.value == "reward"}
    proposer = agent(asked, roles=roles, space=space, settings=replace(SMALL, repairs=2), tools=(ReadJournal(),))
    proposal = proposer.propose(history(space), seed=0)
    assert proposal.technique == "soft-targets" and "0.9 * target" in proposal.files["reward.py"]
    assert proposal.hypothesis == "Less certain targets rank better."
    sent = [json.dumps(body["request"]) for body in asked._store.kept() if "request" in body]
    assert len(sent) == 3 and "whole functions" in sent[1], "what was wrong goes back in words that fit the form"
    assert "has no body" in sent[2]


def test_constants_that_are_repeated_do_no_harm():
    space = load("video_ranking")
    code = (
        "```python\nimport torch\nfrom torch import nn\n\nLEARNING_RATE = 0.01\nPOWER = 0.9\n\n"
        "def table_optimizer(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:\n"
        "    return torch.optim.SGD(parameters, lr=LEARNING_RATE, momentum=POWER)\n```\nname: momentum\n"
    )
    applied = apply_answer(code, space.seed, ("optimizer.py",))
    assert isinstance(applied, Applied)
    text = applied.files["optimizer.py"]
    assert text.count("LEARNING_RATE =") == text.count("POWER =") == text.count("def table_optimizer") == 1
    assert space.check({**space.seed, **applied.files}) is None
