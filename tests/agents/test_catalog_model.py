"""The catalogue as a model among models: through LiteLLM, by weight, as the one that is left, recorded and replayed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.diffs.answer import apply_answer
from agents.diffs.change import Applied
from agents.models.catalog_model import MODEL, CatalogModel, block
from agents.models.litellm_provider import LiteLLM
from agents.models.offline import ReplayedModel
from agents.models.secrets import Secrets
from agents.models.words import FREE, Price
from agents.persona_files import read_roles
from evolve.calls import CallFile
from evolve.contracts import Persona
from evolve.errors import ModelError
from evolve.journal import Journal
from evolve.lineage import Lineage
from evolve.loop import Loop, Settings
from evolve.model_words import model_weights
from search_spaces.space import load
from tests.agents.agent_toys import agent, commits, models
from tests.toys import STARTED, Ticking
from tests.toys import Scoring as ToyScoring

SPACE = load("video_ranking")


class Scoring(ToyScoring):
    """Scores anything: how many lines a tree has."""

    def judge(self, candidate, reference, observable):
        lines = sum(text.count("\n") for text in candidate.tree.values())
        return super().judge(replace(candidate, tree={"model.py": f"X = {lines}\n"}), reference, observable)

    def confirm(self, challenger, champion, alpha):
        return super().confirm(replace(challenger, tree={"model.py": "X = 1\n"}), champion, alpha)

    def final(self, champion, seed):
        return super().final(replace(champion, tree={"model.py": "X = 1\n"}), seed)


def provider() -> LiteLLM:
    return LiteLLM(
        secrets=Secrets({}), given_price=Price(prompt=9.0, answer=9.0), catalog=CatalogModel(SPACE.techniques)
    )


def cards(folder, made, weights=None, budget=8, **changes):
    asked = models(folder, made, **changes)
    proposer = agent(asked, weights=weights or {MODEL: 1.0}, space=SPACE, roles=read_roles())
    clock = Ticking()
    loop = Loop(
        settings=Settings(seed=0, workers=1, budget=budget), started=STARTED, seed_tree=SPACE.seed, gate=SPACE.check,
        proposer=proposer, evaluator=Scoring(), lineage=Lineage(folder / "lineage.git"),
        journal=Journal(folder / "journal.jsonl", clock), clock=clock,
    )  # fmt: skip
    loop.run()
    return loop, asked


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards")
    return folder, *cards(folder, provider())


def test_it_proposes_cards_of_the_persona_whose_turn_it_is(done):
    _, loop, asked = done
    by_name = {technique.name: technique for technique in SPACE.techniques}
    proposals = [attempt.proposal for attempt in loop.archive.attempts]
    assert len(proposals) == 8 and {p.proposer for p in proposals} == {MODEL}
    assert all(by_name[p.technique].persona is p.persona for p in proposals)
    assert {p.persona for p in proposals} >= {Persona.REWARD, Persona.ARCHITECTURE, Persona.OPTIMIZER}
    assert asked.ledger.spent.usd == 0


def test_its_answers_are_recorded_and_replayed(done, tmp_path):
    folder, loop, _ = done
    recorded = CallFile(folder / "calls.jsonl", read_only=True)
    again, _ = cards(tmp_path, ReplayedModel(recorded), pays=False, recorded=recorded)
    assert commits(again) == commits(loop)


def test_it_is_left_where_another_model_is_down(tmp_path):
    class Down:
        def __init__(self) -> None:
            self.cards = provider()

        def price(self, model):
            return FREE

        def ask(self, request):
            if request.model != MODEL:
                raise ModelError("it is down")
            return self.cards.ask(request)

    loop, _ = cards(tmp_path, Down(), weights={"openai/gone": 1.0, MODEL: 1e-9}, budget=4)
    assert {a.proposal.proposer for a in loop.archive.attempts} == {MODEL}


def test_it_is_mixed_by_weight_under_its_short_name():
    assert model_weights("gemini/gemini-2.5-pro=0.9,catalog=0.1") == {"gemini/gemini-2.5-pro": 0.9, MODEL: 0.1}


def test_a_prompt_that_is_none_gets_no_diff():
    assert "No card" in CatalogModel(SPACE.techniques).answer([{"role": "user", "content": "hello"}])


@pytest.mark.parametrize("technique", SPACE.techniques, ids=lambda technique: technique.name)
def test_a_card_as_a_diff_is_the_card(technique):
    from agents import edits

    after = edits.apply(SPACE.seed, technique)
    if after is None:
        pytest.skip("it does not fit the seed")
    blocks = [block(path, SPACE.seed[path], text) for path, text in after.items() if text != SPACE.seed[path]]
    found = apply_answer("\n\n".join(blocks) + "\n", SPACE.seed, SPACE.editable)
    assert isinstance(found, Applied) and {**SPACE.seed, **found.files} == dict(after)
