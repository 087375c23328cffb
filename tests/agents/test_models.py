"""Asking models: kept, paid once, retried with patience, never beyond the budget; secrets stay at home."""

from __future__ import annotations

import base64
import json
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.model_choice import ordered
from agents.models.client import RESTS_AFTER, RESTS_FOR, Retries
from agents.models.ledger import Budget
from agents.models.litellm_provider import SWITCH, LiteLLM
from agents.models.offline import read_script
from agents.models.secrets import Secrets
from agents.models.words import Message, Price, Request
from benchmarks.provider_faults import FALSE_COUNTS, PRICE, WAYS, serving
from evolve.calls import CallFile
from evolve.errors import BudgetExhausted, ModelError, RunError, UsageError
from tests.agents.agent_toys import Flaky, agent, answer, down, models, run, scripted

HELLO = (Message(role="user", text="hello"),)
CANARY = "sk-canary-0123456789abcdef"


def ask(asked, text="hello", names=("a/b",), seed=0):
    said = (Message(role="user", text=text),)
    return asked.ask(names, said, seed=seed, temperature=0.5, answer_tokens=100)


def request(**changes) -> Request:
    plain = {"model": "openai/toy", "messages": HELLO, "seed": 1, "temperature": 0.5, "answer_tokens": 4096}
    return Request(**{**plain, **changes})


def test_an_equal_request_is_answered_from_the_store(tmp_path):
    provider = Flaky(lambda n, r: f"answer {n}")
    asked = models(tmp_path, provider)
    assert ask(asked) == ask(asked) and len(provider.served) == 1
    assert ask(asked, seed=1).answer.text == "answer 2"


def test_another_process_pays_nothing_for_what_is_kept(tmp_path):
    first = models(tmp_path, Flaky(lambda n, r: "yes"))
    reply = ask(first)
    again = models(tmp_path, Flaky(lambda n, r: AssertionError("asked twice")))
    assert ask(again) == reply and again.ledger.spent == first.ledger.spent


def test_transient_failures_are_tried_again_with_growing_waits(tmp_path):
    provider = Flaky(lambda n, r: down(wait_s=7.0) if n == 1 else down() if n == 2 else "yes")
    asked = models(tmp_path, provider)
    assert ask(asked).answer.text == "yes"
    assert asked.waits[0] == 7.0 and 2.0 <= asked.waits[1] <= 3.0


@given(st.integers(1, 30), st.floats(0, 1e6), st.integers())
def test_no_wait_is_longer_than_the_longest(tried, asked_s, seed):
    assert 0 < Retries().wait_s(tried, asked_s, random.Random(seed)) <= Retries().longest_wait_s


def test_what_can_not_be_mended_is_tried_once_and_kept(tmp_path):
    provider = Flaky(lambda n, r: down(transient=False))
    asked = models(tmp_path, provider)
    for _ in range(2):
        with pytest.raises(ModelError, match="it is down"):
            ask(asked)
    assert len(provider.served) == 1


def test_a_model_that_keeps_failing_rests(tmp_path):
    provider = Flaky(lambda n, r: down(transient=False))
    asked = models(tmp_path, provider)
    for number in range(RESTS_AFTER + RESTS_FOR + 1):
        with pytest.raises(ModelError):
            ask(asked, seed=number)
    assert len(provider.served) == RESTS_AFTER + 1


def test_an_answer_that_was_not_heard_is_charged_at_the_most_it_can_cost(tmp_path):
    asked = models(tmp_path, Flaky(lambda n, r: down(charged=True) if n == 1 else "yes"))
    reply = ask(asked)
    most = request(model="a/b", answer_tokens=100)
    expected = PRICE_OF(most.prompt_tokens, 100) + PRICE_OF(100, 1)
    assert reply.answer.cost_usd == pytest.approx(expected) == asked.ledger.spent.usd


def PRICE_OF(prompt, answer):
    return Price(prompt=1.0, answer=2.0).of(prompt, answer)


@pytest.mark.parametrize("budget", [Budget(usd=0.0004), Budget(tokens=250)])
def test_no_call_is_made_that_could_pass_the_budget(tmp_path, budget):
    provider = Flaky(lambda n, r: "yes")
    asked = models(tmp_path, provider, budget=budget)
    with pytest.raises(BudgetExhausted, match="are spent"):
        for number in range(10):
            ask(asked, seed=number)
    spent = asked.ledger.spent
    assert 0 < len(provider.served) < 10
    assert spent.usd <= (budget.usd or 1) and spent.tokens <= (budget.tokens or 10**9)


@pytest.mark.parametrize("budget", [Budget(usd=0.0012), Budget(tokens=800)])
def test_calls_at_the_same_time_do_not_pass_the_budget_together(tmp_path, budget):
    """Each call may cost far more than it does: those that do not fit wait for the others, and few are given up."""

    def slow(number, request):
        time.sleep(0.002)
        return "yes"

    provider = Flaky(slow)
    asked = models(tmp_path, provider, budget=budget)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(ask, asked, seed=number) for number in range(40)]
    refused = sum(isinstance(call.exception(), BudgetExhausted) for call in calls)
    spent = asked.ledger.spent
    assert len(provider.served) + refused == 40 and 5 <= len(provider.served) < 40
    assert spent.usd <= (budget.usd or 1) and spent.tokens <= (budget.tokens or 10**9)
    again = models(tmp_path, Flaky(lambda n, r: AssertionError("asked twice")))
    assert again.ledger.spent.tokens == spent.tokens


def test_a_spent_budget_ends_a_run_and_a_larger_one_continues_it(tmp_path):
    provider = Flaky(lambda n, r: answer(n))
    loop = run(tmp_path, agent(models(tmp_path, provider, budget=Budget(usd=0.012))), budget=30)
    assert "budget of 0.012 USD" in loop.reason and 0 < loop.archive.counted < 30
    again = run(tmp_path, agent(models(tmp_path, provider)), budget=30)
    assert again.archive.counted == 30


def test_an_unknown_price_stops_it_before_anything_is_asked(tmp_path):
    provider = Flaky(lambda n, r: "yes")
    provider._price = None
    with pytest.raises(UsageError, match=r"an unknown price is not zero(.|\n)*--price"):
        ask(models(tmp_path, provider))
    assert not provider.served


def test_a_call_of_a_killed_process_is_charged_by_estimate_and_asked_again(tmp_path):
    class Killed(Exception): ...

    dying = models(tmp_path, Flaky(lambda n, r: Killed()))
    with pytest.raises(Killed):
        ask(dying)
    again = models(tmp_path, Flaky(lambda n, r: "yes"))
    assert again.ledger.spent.lost_calls == 1 and again.ledger.spent.tokens > 100
    assert ask(again).answer.text == "yes"
    assert models(tmp_path, Flaky(lambda n, r: "yes")).ledger.spent.lost_calls == 1


def test_the_store_survives_a_cut_at_every_byte(tmp_path):
    asked = models(tmp_path, scripted(["one", "two"]))
    ask(asked)
    asked.note(ask(asked, "more").key, "accepted")
    text = (tmp_path / "calls.jsonl").read_bytes()
    for cut in range(len(text) + 1):
        (tmp_path / "cut.jsonl").write_bytes(text[:cut])
        kept = list(CallFile(tmp_path / "cut.jsonl", read_only=True).kept())
        assert kept == list(asked._store.kept())[: len(kept)]


def test_a_damaged_store_is_a_clear_error(tmp_path):
    (tmp_path / "calls.jsonl").write_text("{}\n")
    with pytest.raises(RunError, match="line 1"):
        CallFile(tmp_path / "calls.jsonl")


def test_scripts_are_lines_of_json_or_texts_between_marks():
    assert read_script('"a"\n\n{"answer": "b"}\n', is_json_lines=True) == ["a", "b"]
    assert read_script("a\n%%%%\nb\nc\n", is_json_lines=False) == ["a", "b\nc\n"]
    with pytest.raises(UsageError, match="line 1"):
        read_script("{}", is_json_lines=True)


# --- LiteLLM over real HTTP --------------------------------------------------------------------


def litellm(state, deadline_s=20.0, environment=None) -> LiteLLM:
    hidden = Secrets(environment or {})
    return LiteLLM(secrets=hidden, api_base=state.address, given_price=PRICE, deadline_s=deadline_s)


def test_a_good_answer_comes_with_its_tokens():
    with serving("good") as state:
        found = litellm(state).ask(request())
    assert "SEARCH" in found.text and (found.prompt_tokens, found.answer_tokens) == state.honest[0]
    assert not found.flags


@pytest.mark.parametrize("way", FALSE_COUNTS)
def test_false_counts_are_replaced_by_our_estimate(way):
    with serving(way) as state:
        found = litellm(state).ask(request())
    assert found.flags == ("token use estimated",) and 0 < found.answer_tokens < 200


@pytest.mark.parametrize(
    ("way", "transient", "charged"),
    [
        ("too_many", True, False),
        ("server_error", True, False),
        ("bad_request", False, False),
        ("reset", True, True),
        ("cut", True, True),
        ("empty_body", True, True),
        ("wrong_encoding", True, True),
        ("no_choices", True, True),
    ],
)
def test_failures_say_whether_to_try_again_and_whether_they_may_have_cost(way, transient, charged):
    assert way in WAYS
    with serving(way) as state, pytest.raises(ModelError) as caught:
        litellm(state).ask(request())
    assert (caught.value.transient, caught.value.charged) == (transient, charged)


def test_the_time_that_a_provider_asks_for_is_heard():
    with serving("too_many") as state, pytest.raises(ModelError) as caught:
        litellm(state).ask(request())
    assert caught.value.wait_s == 0.01


def test_a_server_that_is_not_there_costs_nothing():
    provider = LiteLLM(secrets=Secrets({}), api_base="http://127.0.0.1:9/v1", given_price=PRICE)
    with pytest.raises(ModelError) as caught:
        provider.ask(request())
    assert caught.value.transient and not caught.value.charged


def test_a_dripping_server_meets_the_deadline():
    with serving("drip") as state, pytest.raises(ModelError, match="no answer in 0 s"):
        litellm(state, deadline_s=0.4).ask(request())


def test_tests_can_not_reach_a_real_model():
    assert os.environ[SWITCH] == "forbidden"
    with pytest.raises(ModelError, match="no call may leave this machine"):
        LiteLLM(secrets=Secrets({}), given_price=PRICE).ask(request(model="openai/gpt-4o-mini"))


@pytest.mark.live
def test_a_real_model_answers():
    name = os.environ["EVOLVE_LIVE_MODEL"]
    assert LiteLLM(secrets=Secrets(os.environ)).ask(request(model=name)).text


def test_prices_come_from_the_list_on_disk_or_are_unknown():
    provider = LiteLLM(secrets=Secrets({}))
    assert provider.price("gemini/gemini-2.5-pro").answer > provider.price("gemini/gemini-2.5-pro").prompt > 0
    assert provider.price("openai/nobody-knows-me") is None
    assert provider.price("ollama/qwen2.5-coder").answer == 0


# --- secrets -----------------------------------------------------------------------------------


def test_secrets_are_hidden_in_plain_and_in_base64():
    hidden = Secrets({"OPENAI_API_KEY": CANARY, "HOME": "/home/somebody", "A_TOKEN": "short"})
    coded = base64.b64encode(CANARY.encode()).decode()
    assert hidden.clean(f"a {CANARY} b {coded} /home/somebody short") == (
        "a [OPENAI_API_KEY] b [OPENAI_API_KEY] /home/somebody short"
    )


def test_a_key_in_the_environment_reaches_no_prompt_journal_store_or_log(tmp_path, monkeypatch):
    """The server sends the key back in errors; the key of the environment is not even sent to a server on loopback."""
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    said: list[str] = []
    with serving("bad_request") as state:
        asked = models(tmp_path, litellm(state, environment=os.environ), report=said.append)
        proposer = agent(asked, weights={"openai/toy": 1.0}, fallback=None, report=said.append)
        run(tmp_path, proposer, budget=3)
    texts = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert said and not any(CANARY.encode() in text for text in texts)
    assert CANARY not in "".join(said) and CANARY not in "".join(state.echo)


def test_a_secret_in_a_prompt_or_an_answer_is_hidden(tmp_path):
    with serving("good") as state:
        hidden = litellm(state, environment={"MY_SECRET_KEY": "is better"})
        found = hidden.ask(request())
    assert "is better" not in found.text and "[MY_SECRET_KEY]" in found.text


# --- which model -------------------------------------------------------------------------------


def test_weights_decide_while_nothing_is_known(tmp_path):
    import numpy as np

    loop = run(tmp_path, agent(models(tmp_path, scripted([answer(1)]))), budget=1)
    history, persona = loop.archive.history(), loop.archive.attempts[0].proposal.persona
    rng = np.random.default_rng(0)
    first = [ordered({"a/a": 0.9, "b/b": 0.1}, history, persona, rng)[0] for _ in range(200)]
    assert 150 < first.count("a/a") < 200


def test_json_of_a_call_holds_what_a_reader_needs(tmp_path):
    ask(models(tmp_path, Flaky(lambda n, r: "yes")))
    rows = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    assert [row["kind"] for row in rows] == ["began", "kept"]
    body = rows[1]["body"]
    assert body["request"]["model"] == "a/b" and body["answer"]["version"] == "toy-1" and body["charged_usd"] > 0
