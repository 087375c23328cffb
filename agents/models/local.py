"""Models in GGUF files on this machine: each is served by a process of its own for as long as its run lasts.

A server listens on loopback and ends with the run, or by itself when the run's process is gone. Answers cost nothing.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from agents.models.litellm_provider import LiteLLM
from agents.models.words import FREE, Answer, Price, Provider, Request
from evolve.errors import SetupError, UsageError

PREFIX = "local/"
LOADED_WITHIN_S = 300.0
DEADLINE_S = 900.0
"""For one answer: a processor that candidates are trained on as well reads some ten tokens a second."""
GGUF = b"GGUF"


def is_local(model: str) -> bool:
    """Whether the name means a file on this machine."""
    return model.startswith(PREFIX)


def model_file(model: str, folder: Path) -> Path:
    """The file that `local/FILE` names: a path, or a name in `folder`.

    Raises:
        UsageError: there is no such file, or it is no GGUF file.
        SetupError: the extra `local` is not installed.
    """
    name = model.removeprefix(PREFIX)
    path = next((p for p in (Path(name).expanduser(), folder / name) if p.is_file()), None)
    if path is None:
        raise UsageError(
            f"there is no model file {name}, nor one of that name in {folder}",
            hint="Write local/FILE.gguf, or fetch a small one: python scripts/fetch_test_model.py",
        )
    with path.open("rb") as file:
        if file.read(4) != GGUF:
            raise UsageError(f"{path} is no GGUF file", hint="llama.cpp reads models in GGUF files only.")
    if not is_installed():
        raise SetupError(
            f"{model} needs the package xllamacpp, which is not installed",
            hint="Install the extra: pip install 'evolve-automl[local]' (in a checkout: pip install -e '.[local]')",
        )
    return path


def is_installed() -> bool:
    """Whether GGUF files can be served here."""
    return importlib.util.find_spec("xllamacpp") is not None


def files_in(folder: Path) -> list[str]:
    """The models of a folder, as `--model` takes them."""
    return [f"{PREFIX}{path.name}" for path in sorted(folder.glob("*.gguf"))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Asks the local models at their own servers, all others of `rest`; implements `words.Provider`."""

    rest: Provider
    servers: Mapping[str, LiteLLM]
    """Model -> the way to its server."""

    def price(self, model: str) -> Price | None:
        """Nothing for what runs on this machine."""
        return FREE if model in self.servers else self.rest.price(model)

    def ask(self, request: Request) -> Answer:
        """One try."""
        server = self.servers.get(request.model)
        if server is None:
            return self.rest.ask(request)
        return server.ask(replace(request, model=f"openai/{Path(request.model).name}"))


@contextmanager
def served(files: Mapping[str, Path], rest: Provider, like: LiteLLM, context_tokens: int) -> Generator[Provider]:
    """A provider that has a server for each of `files` (model -> file), until the context ends."""
    with ExitStack() as stack:
        servers: dict[str, LiteLLM] = {}
        for model, path in files.items():
            address = stack.enter_context(server(path, context_tokens, _threads()))
            servers[model] = replace(like, api_base=f"{address}/v1", given_price=FREE, deadline_s=DEADLINE_S)
        yield Served(rest=rest, servers=servers)


@contextmanager
def server(path: Path, context_tokens: int, threads: int) -> Generator[str]:
    """The address of a server for one file, until the context ends. Raises SetupError where it does not start."""
    with path.open("rb") as file:
        name = f"{path.name}@{hashlib.file_digest(file, 'sha256').hexdigest()[:12]}"
    words = [str(path.resolve()), name, str(context_tokens), str(threads), str(os.getpid())]
    with tempfile.TemporaryFile() as complaints:
        # A session of its own: Ctrl-C is for the run, which still asks while it finishes what is in flight.
        process = subprocess.Popen(
            [sys.executable, "-m", "agents.models.gguf_server", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints, text=True, start_new_session=True,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        try:
            assert process.stdout is not None
            address = _first_line(process.stdout)
            if not address:
                raise SetupError(
                    f"{path} can't be served: {_tail(complaints) or 'the server gave no address'}",
                    hint="Is it a whole GGUF file, and is there memory for it?",
                )
            yield address
        finally:
            process.kill()
            process.communicate()


def _threads() -> int:
    """Half of the cores: the other half trains candidates, and threads that share a core wait for each other."""
    return max(1, len(os.sched_getaffinity(0)) // 2)


def _first_line(stream: IO[str]) -> str:
    """The first line, empty where there is none in time."""
    box: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=lambda: box.put(stream.readline()), daemon=True, name="model server").start()
    try:
        return box.get(timeout=LOADED_WITHIN_S).strip()
    except queue.Empty:
        return ""


def _tail(stream: IO[bytes]) -> str:
    stream.seek(0)
    lines: Sequence[str] = stream.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else ""
