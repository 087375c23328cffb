"""Where attacks are tried: a small task with secret labels, and a host with things worth stealing.

The labels are coin tosses that nothing in training tells, so no honest program scores above chance: whatever does has
forged its score. A candidate says `escaped` where its own attempt went through; the scene's witnesses on the host (a
listener, a folder to write to, a process of its own) do not rely on that.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import string
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evolve.contracts import Fault, FaultKind, Job, Limits, Sandbox, Session

QUERIES = 400
CHANCE_AT_MOST = 0.5 + 6 * 0.5 / QUERIES**0.5
"""Six standard errors above a coin: one false alarm in a thousand million."""
LIMITS = Limits(memory_bytes=400 << 20, cpu_s=20, processes=32, file_bytes=8 << 20, open_files=128, start_s=60.0)
PATIENCE_S, SHORT_S = 20.0, 2.0
HARNESS = "import candidate\n\n\ndef start(data, config):\n    return candidate.Runner(data, config)\n"
HEAD = "import os, sys, time, ctypes, socket, struct, signal\nfrom pathlib import Path\nimport numpy as np\n"
KINDS = {FaultKind.TIMED_OUT: "timed_out"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One hostile candidate: what it tries, its code, and the outcomes that are right.

    `train` and `predict` are bodies; `attempt` is a body that raises where it was refused, and stands in for `train`.
    `$name` in any of them is one of the scene's words. `lets_through` names sandboxes that do not claim to stop it.
    """

    name: str
    family: str
    tries: str
    train: str = "return {}"
    predict: str = "return self.rng.random(len(queries['users'])).astype(np.float32)"
    attempt: str = ""
    top: str = ""
    right: tuple[str, ...] = ("scored", "failed")
    impatient: bool = False
    lets_through: tuple[str, ...] = ()

    def source(self, words: dict[str, str]) -> str:
        """The candidate's file."""
        train = self.train
        if self.attempt:
            body = textwrap.indent(textwrap.dedent(self.attempt), "    ")
            train = f"try:\n{body}\nexcept Exception as refusal:\n    return {{'refused': 1}}\nreturn {{'escaped': 1}}"
        methods = (
            f"    def {name}:\n{textwrap.indent(textwrap.dedent(body), ' ' * 8)}\n"
            for name, body in (("train(self, examples)", train), ("predict(self, queries)", self.predict))
        )
        start = "class Runner:\n    def __init__(self, data, config):\n        self.data, self.config = data, config\n"
        start += "        self.rng = np.random.default_rng(config['seed'])\n"
        return string.Template(HEAD + self.top + "\n" + start + "".join(methods)).safe_substitute(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What came of an attack: the outcome's kind, the score where there is one, and what was not contained."""

    outcome: str
    reason: str
    score: float | None
    escapes: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Scene:
    """A host worth attacking. `words` are put into candidates' sources."""

    token: str
    data: Path
    folder: Path
    words: dict[str, str]
    reached: list[str] = field(default_factory=list)

    def play(self, sandbox: Sandbox, attack: Attack) -> Seen:
        """Runs one attack and looks at everything that it could have changed."""
        self.reached.clear()
        labels = np.random.default_rng(secrets.randbits(64)).integers(0, 2, QUERIES).astype(bool)
        np.save(self.folder / "labels.npy", labels)
        files = {"harness.py": HARNESS, "candidate.py": attack.source(self.words)}
        job = Job(files=files, data=self.data, config={"seed": secrets.randbits(31)}, limits=LIMITS)
        with sandbox.open(job) as session:
            seen, said = _judged(session, labels, SHORT_S if attack.impatient else PATIENCE_S)
            evidence = session.close()
        escapes = [*seen.escapes, *self._witnessed()]
        if self.token in said + evidence.stderr_tail:
            escapes.append("a secret of the host's was said")
        if not _is_plain(seen.reason + evidence.stderr_tail):
            escapes.append("control characters reached a person")
        return replace(seen, escapes=tuple(escapes))

    def _witnessed(self) -> Iterator[str]:
        yield from self.reached
        for path in self.folder.iterdir():
            if path.name.startswith("dropped"):
                path.unlink()
                yield "a file was written on the host"
        if (self.data / "features.npy").stat().st_mode & 0o777 != 0o644:
            (self.data / "features.npy").chmod(0o644)
            yield "the data's rights were changed"


def _judged(session: Session, labels: NDArray[np.bool_], limit_s: float) -> tuple[Seen, str]:
    """Trains and asks, as a judge does; also returns all that the candidate said."""
    claims = session.train(100, limit_s)
    if isinstance(claims, Fault):
        return _faulted(claims), ""
    escapes = ("it says that it got through",) if claims.get("escaped") else ()
    said = " ".join(claims)
    users = np.arange(QUERIES, dtype=np.int32)
    answer = session.predict({"users": users, "features": np.zeros((QUERIES, 4), np.float32)}, (QUERIES,), limit_s)
    if isinstance(answer, Fault):
        return replace(_faulted(answer), escapes=escapes), said
    score = float(((answer > 0.5) == labels).mean())
    forged = ("the score is forged",) if score > CHANCE_AT_MOST else ()
    return Seen(outcome="scored", reason="", score=score, escapes=escapes + forged), said


def _faulted(fault: Fault) -> Seen:
    return Seen(outcome=KINDS.get(fault.kind, "failed"), reason=fault.reason, score=None, escapes=())


def _is_plain(text: str) -> bool:
    return all(letter.isprintable() or letter in "\n\t" for letter in text)


@contextlib.contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """Sets everything up in an empty folder and takes it down again."""
    data = folder / "data"
    data.mkdir()
    rng = np.random.default_rng(0)
    np.save(data / "features.npy", rng.standard_normal((1000, 4)).astype(np.float32))
    np.save(data / "spare.npy", np.zeros(1))
    np.save(data / "labels.npy", rng.integers(0, 2, 1000).astype(np.float32))
    for path in data.iterdir():
        path.chmod(0o644)
    folder.chmod(0o777)
    token = f"canary-{secrets.token_hex(16)}"
    (folder / "secret.txt").write_text(token)
    os.environ["EVOLVE_SECRET"] = token
    with contextlib.ExitStack() as stack:
        stack.callback(os.environ.pop, "EVOLVE_SECRET", None)
        made = Scene(token=token, data=data, folder=folder, words={})
        port = stack.enter_context(_listener(socket.AF_INET, ("127.0.0.1", 0), made.reached.append, "TCP"))
        path = str(folder / "service.sock")
        stack.enter_context(_listener(socket.AF_UNIX, path, made.reached.append, "a UNIX socket"))
        Path(path).chmod(0o777)
        abstract = f"evolve-{secrets.token_hex(6)}"
        stack.enter_context(_listener(socket.AF_UNIX, f"\0{abstract}", made.reached.append, "an abstract socket"))
        made.words = {
            "secret": str(folder / "secret.txt"), "labels": str(folder / "labels.npy"), "folder": str(folder),
            "port": str(port), "unix": path, "abstract": abstract, "pid": str(os.getpid()),
            "root": str(Path(__file__).resolve().parents[2]), "drop": str(folder / "dropped"),
            "ipc": str(Path("/proc/self/ns/ipc").readlink()).strip("ipc:[]"),
            "pids": str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]"),
            "home": str(Path.home()), "home_entries": str(len(list(Path.home().iterdir()))),
        }  # fmt: skip
        yield made


@contextlib.contextmanager
def _listener(family: int, address: object, say: Callable[[str], object], what: str) -> Iterator[int]:
    """Accepts connections on this machine and says so; yields the port."""
    with socket.socket(family) as server:
        server.bind(address)  # type: ignore[arg-type]
        server.listen()

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.close()
                    say(f"the host was reached over {what}")

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        name = server.getsockname()
        yield name[1] if family == socket.AF_INET else 0
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
