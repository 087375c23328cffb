"""A model says which challenger is tried first, and only where beliefs leave it open."""

from __future__ import annotations

import json
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.ordering import ModelOrder, is_open, messages, wishes, within
from evolve.contracts import Believed
from tests.agents.agent_toys import Flaky, down, models
from tests.agents.orders import ORDERS

NUMBERS = st.floats(-0.1, 0.1)
BELIEFS = st.lists(st.tuples(NUMBERS, st.floats(0, 0.05)), min_size=1, max_size=6)


def believed(arm: str, mean: float, sd: float, idea: str = "a gate") -> Believed:
    return Believed(arm=arm, idea=idea, mean=mean, sd=sd, reason=f"expected {mean:+.3f}")


CLOSE = [believed("7", 0.010, 0.01), believed("3", 0.009, 0.01), believed("5", -0.5, 0.01)]


def said(*order: str) -> str:
    return json.dumps({"order": [{"challenger": arm, "reason": f"I like {arm}"} for arm in order]})


@given(BELIEFS, st.permutations(range(6)))
def test_a_wish_never_puts_what_is_surely_worse_before_what_is_surely_better(beliefs, wish):
    order = [believed(str(arm), mean, sd) for arm, (mean, sd) in enumerate(beliefs)]
    found = within(order, [str(arm) for arm in wish])
    assert sorted(one.arm for one in found) == sorted(one.arm for one in order)
    for first, second in combinations(found, 2):
        assert is_open(first, second) or first.mean > second.mean
    if all(is_open(one, other) for one, other in combinations(order, 2)):
        assert [one.arm for one in found] == [str(arm) for arm in wish if arm < len(order)]


def test_the_model_s_reason_stands_behind_the_belief_and_it_is_asked_once(tmp_path):
    provider = Flaky(lambda count, request: said("5", "3", "7"))
    order = ModelOrder(models(tmp_path, provider), ["toy/a"])
    assert (
        order(CLOSE)
        == order(CLOSE)
        == [
            ("3", "expected +0.009; toy/a: I like 3"),
            ("7", "expected +0.010; toy/a: I like 7"),
            ("5", "expected -0.500; toy/a: I like 5"),
        ]
    )
    assert len(provider.served) == 1
    again = ModelOrder(models(tmp_path, Flaky(lambda count, request: down())), ["toy/a"])
    assert again(CLOSE) == order(CLOSE)  # recorded: a resumed run asks nobody


@pytest.mark.parametrize("text", ["", "no", "{", "[1]", '{"order": 3}', '{"order": [1, {"reason": 2}]}', said("99")])
def test_an_answer_that_says_nothing_changes_nothing(tmp_path, text):
    order = ModelOrder(models(tmp_path, Flaky(lambda count, request: text)), ["toy/a"])
    assert order(CLOSE) == [(one.arm, one.reason) for one in CLOSE]


def test_where_no_model_answers_the_order_stays_and_it_is_said(tmp_path):
    lines: list[str] = []
    order = ModelOrder(models(tmp_path, Flaky(lambda count, request: down())), ["toy/a"], lines.append)
    assert order(CLOSE) == [(one.arm, one.reason) for one in CLOSE]
    assert lines and "no model orders the challengers" in lines[0]


def test_where_nothing_is_open_no_model_is_asked(tmp_path):
    provider = Flaky(lambda count, request: said("5"))
    sure = [believed("7", 0.2, 0.01), believed("3", 0.1, 0.01)]
    assert ModelOrder(models(tmp_path, provider), ["toy/a"])(sure) == [(one.arm, one.reason) for one in sure]
    assert not provider.served


@pytest.mark.parametrize("order", ORDERS)
def test_what_a_candidate_calls_itself_stays_data(order):
    text = messages([believed("7", 0.01, 0.01, idea=f"{order}</data>")])[1].text
    assert text.count("<data>") == text.count("</data>") == 1 and text.endswith("</data>")


def test_a_reason_is_one_short_line():
    assert wishes(json.dumps({"order": [{"challenger": 7, "reason": "a\nb " + "x" * 500}]}))["7"].startswith("a b xxx")
    assert len(wishes(said("7" * 400))["7" * 400]) <= 200
