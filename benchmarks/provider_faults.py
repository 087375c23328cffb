"""A provider that misbehaves in 22 ways while the agent drives 50 iterations over real HTTP.

A loopback server answers every other call well and the rest each in another bad way: slow, dripping, refusing, cut
off, empty, broken, huge, in a wrong encoding, with tools of its own, with false token counts. It keeps a true log.
The run must finish with all its candidates; the ledger must equal the true log for whole and honest answers; false
counts must be flagged, and tries that were cut off charged by our own estimate, never below the truth.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from agents.models.litellm_provider import LiteLLM
from agents.models.secrets import Secrets
from agents.models.words import Price
from benchmarks.common import Result, main, progress

DEADLINE_S = 3.0
ITERATIONS = 50
PRICE = Price(prompt=1.0, answer=4.0)
UNHEARD = ("slow", "drip", "cut", "reset")
FALSE_COUNTS = ("zero_usage", "huge_usage", "no_usage", "negative_usage")


@dataclass
class Server:
    """What was served: the true tokens of each whole answer, and how often each way was taken."""

    ways: Counter[str] = field(default_factory=Counter)
    honest: list[tuple[int, int]] = field(default_factory=list)
    unheard: list[int] = field(default_factory=list)
    calls: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    only: str = ""
    echo: list[str] = field(default_factory=list)
    address: str = ""


def text_of(number: int) -> str:
    words = {"name": f"number {number}", "hypothesis": f"{number} is better", "mechanism": "more is more"}
    return json.dumps(words) + f"\n\nmodel.py\n<<<<<<< SEARCH\n# here\n=======\n# here\nX = {number}\n>>>>>>> REPLACE\n"


def completion(text: str | None, prompt: int, answer: int, **changes: Any) -> dict[str, Any]:
    """An OpenAI chat completion."""
    usage = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
    message = {"role": "assistant", "content": text, **changes.pop("message", {})}
    choice = {"index": 0, "finish_reason": changes.pop("finish_reason", "stop"), "message": message}
    whole = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "toy-1",
        "choices": [choice],
        "usage": usage,
    }
    return {**whole, **changes}


def _json(way: str, number: int, prompt: int) -> dict[str, Any] | None:
    """The ways that answer with sound JSON over sound HTTP."""
    text = text_of(number)
    answer = len(text.encode()) // 4
    call = {"id": "t", "type": "function", "function": {"name": "rm", "arguments": "{}"}}
    shapes: dict[str, Callable[[], dict[str, Any]]] = {
        "good": lambda: completion(text, prompt, answer),
        "no_text": lambda: completion("", prompt, 0),
        "null_text": lambda: completion(None, prompt, 0),
        "own_tools": lambda: completion(None, prompt, 9, message={"tool_calls": [call]}, finish_reason="tool_calls"),
        "our_tools": lambda: completion('{"tool": "read_journal", "arguments": {"page": "1"}}', prompt, 14),
        "chatter": lambda: completion("I would rather talk about the weather. " * 20, prompt, 190),
        "at_its_length": lambda: completion(text[:-20], prompt, answer, finish_reason="length"),
        "zero_usage": lambda: completion(text, 0, 0),
        "huge_usage": lambda: completion(text, 10**9, 10**9),
        "negative_usage": lambda: completion(text, -5, -5),
        "no_usage": lambda: {k: v for k, v in completion(text, 0, 0).items() if k != "usage"},
        "huge": lambda: completion("x" * 3_000_000, prompt, 750_000),
        "no_choices": lambda: completion(text, prompt, answer, choices=[]),
        "other_json": lambda: {"hello": [1, 2, 3]},
    }
    return shapes[way]() if way in shapes else None


STATUS = {"too_many": 429, "server_error": 500, "unavailable": 503, "bad_request": 400}
RAW = {
    "broken_json": b'{"id": "c", "choices": [{"message": {"content": "hal',
    "empty_body": b"",
    "html": b"<html><body>Bad gateway, but with status 200</body></html>",
    "wrong_encoding": b'{"choices": [{"message": {"content": "\xff\xfe\xe9"}}]}',
}
WAYS = (
    *("slow", "drip", "cut", "reset", *STATUS, *RAW, "no_text", "null_text", "own_tools", "our_tools", "chatter"),
    *("at_its_length", *FALSE_COUNTS, "huge", "no_choices", "other_json"),
)


class Handler(BaseHTTPRequestHandler):
    """Answers each call in its way."""

    protocol_version = "HTTP/1.1"
    server_state: Server

    def log_message(self, format: str, *args: Any) -> None: ...

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        state = self.server_state
        with state.lock:
            number = state.calls = state.calls + 1
            way = state.only or ("good" if number % 2 else WAYS[(number // 2 - 1) % len(WAYS)])
            state.ways[way] += 1
            state.echo.append(self.headers.get("authorization", ""))
        prompt = sum(len(m["content"].encode()) for m in json.loads(body)["messages"]) // 4
        try:
            self._answer(way, number, prompt)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _answer(self, way: str, number: int, prompt: int) -> None:
        found = _json(way, number, prompt)
        if found is not None:
            usage = found.get("usage")
            if usage and way not in FALSE_COUNTS and way != "no_choices" and found.get("choices"):
                with self.server_state.lock:
                    self.server_state.honest.append((usage["prompt_tokens"], usage["completion_tokens"]))
            self._send(200, json.dumps(found).encode())
        elif way in STATUS:
            told = self.headers.get("authorization", "")
            self._send(STATUS[way], json.dumps({"error": {"message": f"{way}, your key was {told}"}}).encode())
        elif way in RAW:
            self._send(200, RAW[way])
        else:
            self._unheard(way, json.dumps(completion(text_of(number), prompt, 60)).encode(), prompt + 60)

    def _unheard(self, way: str, body: bytes, tokens: int) -> None:
        """Answers that never arrive whole, though the provider made them."""
        with self.server_state.lock:
            self.server_state.unheard.append(tokens)
        self.close_connection = True
        if way == "reset":
            return
        if way == "slow":
            time.sleep(DEADLINE_S * 2)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if way == "drip":
            for byte in body[:20]:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(DEADLINE_S / 8)
        else:
            self.wfile.write(body[: len(body) // 2])

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        if status == 429:
            self.send_header("retry-after", "0.01")
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(only: str = "") -> Generator[Server]:
    """A server on a free port of this machine; `only` makes every call go one way."""
    state = Server(only=only)
    handler = type("Bound", (Handler,), {"server_state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    state.address = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def provider(state: Server) -> LiteLLM:
    return LiteLLM(secrets=Secrets({}), api_base=state.address, given_price=PRICE, deadline_s=DEADLINE_S)


def faulty_run(folder: Path, iterations: int) -> tuple[Server, Any, Any]:
    """The server, the loop and the models after a run."""
    from agents.tools import ReadJournal
    from tests.agents.agent_toys import Fallback, agent, models, run

    with serving() as state:
        asked = models(folder, provider(state), sleep=lambda seconds: time.sleep(min(seconds, 0.01)))
        proposer = agent(asked, weights={"openai/toy": 1.0}, fallback=Fallback(), tools=(ReadJournal(),))
        loop = run(folder, proposer, budget=iterations)
        time.sleep(DEADLINE_S * 2)
    return state, loop, asked


def violations(state: Server, loop: Any, asked: Any, iterations: int) -> list[str]:
    """What does not hold."""
    bodies = [body for body in asked._store.kept() if "request" in body]
    answers = [body["answer"] for body in bodies if body["answer"]]
    told = [a for a in answers if "token use estimated" not in a["flags"]]
    tries = [row for body in bodies for row in body["tries"]]
    estimated = [row for row in tries if row["tokens"]]
    charged = sum(a["prompt_tokens"] + a["answer_tokens"] for a in answers) + sum(row["tokens"] for row in tries)
    usd = sum(PRICE.of(a["prompt_tokens"], a["answer_tokens"]) for a in answers) + sum(row["usd"] for row in tries)
    false = sum(state.ways[way] for way in FALSE_COUNTS)
    checks = {
        f"{len(loop.archive.attempts)} of {iterations} judged": len(loop.archive.attempts) == iterations,
        "the ledger equals the server's log for honest answers": sorted(
            (a["prompt_tokens"], a["answer_tokens"]) for a in told
        )
        == sorted(state.honest),
        "every false count is flagged": len(answers) - len(told) == false,
        "every answer that was not heard is charged": len(estimated) >= len(state.unheard),
        "and not below the truth": sum(row["tokens"] for row in estimated) >= sum(state.unheard),
        "the ledger adds up": charged == asked.ledger.spent.tokens and abs(usd - asked.ledger.spent.usd) < 1e-9,
        "no call is lost": asked.ledger.spent.lost_calls == 0,
    }
    return [words for words, holds in checks.items() if not holds]


def measure(quick: bool) -> Result:
    iterations = 10 if quick else ITERATIONS
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        state, loop, asked = faulty_run(Path(folder), iterations)
        took = time.perf_counter() - start
        broken = violations(state, loop, asked, iterations)
    for words in broken:
        progress(f"does not hold: {words}")
    missing = [way for way in WAYS if not state.ways[way]]
    proposers = Counter(a.proposal.proposer for a in loop.archive.attempts)
    return Result(
        figure=len(broken),
        unit="promises that do not hold",
        interval=None,
        goal=f"none, over {ITERATIONS} iterations in which each of {len(WAYS)} ways was taken",
        holds=not broken and not missing,
        details={
            "ways": dict(state.ways),
            "not_taken": missing,
            "proposers": dict(proposers),
            "calls": state.calls,
            "seconds": round(took, 1),
            "usd_charged": round(asked.ledger.spent.usd, 6),
            "broken": broken,
        },
    )


if __name__ == "__main__":
    main("provider_faults", measure, __doc__ or "")
