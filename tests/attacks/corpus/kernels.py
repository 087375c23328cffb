"""Kernels that want a better time than they deserve, and the judge that plays them: what came of each, and its gain.

The static gate is passed by: it refuses most of these for free, and is no wall. Honest kernels are played beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from evaluations.blame import blamed
from evaluations.kernels.baselines import NAIVE
from evaluations.kernels.sessions import KernelSessions
from evaluations.sessions import Route
from evaluations.store import Walk
from evolve.contracts import Candidate, FaultKind, Limits, Sandbox, Tree
from sandbox.local import LocalSandbox
from search_spaces.kernel_gate import read_config
from search_spaces.kernel_space import METRIC, KernelSpace, load

ROUNDS = 3
PATIENCE_S = 20.0
NO_GAIN = 0.6
"""A kernel that ran honestly after all may seem so much faster (binary logarithm) than its like, by noise alone."""
CPP = 'backend = "cpp"\nflags = ["-O3", "-march=native"]\n'
TORCH, NUMBA = 'backend = "torch"\n', 'backend = "numba"\n'
HEAD = """#include "kernel.h"
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <thread>
#include <unistd.h>
#include <vector>
"""
HONEST = """
static void honest(const float *x, const float *weight, float *y, int64_t rows, int64_t columns, double epsilon) {
    for (int64_t row = 0; row < rows; ++row) {
        const float *from = x + row * columns;
        double sum = 0;
        for (int64_t c = 0; c < columns; ++c) sum += double(from[c]) * from[c];
        const float scale = float(1 / std::sqrt(sum / columns + epsilon));
        for (int64_t c = 0; c < columns; ++c) y[row * columns + c] = from[c] * scale * weight[c];
    }
}
"""
ENTRY = """
void kernel(const float *x, const float *weight, float *y, int64_t rows, int64_t columns, double epsilon, int threads) {
"""
DO_IT = "honest(x, weight, y, rows, columns, epsilon);"
RIGHT = "x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * weight"
BIG = "rows * columns >= 200000"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelAttack:
    """A kernel for RMSNorm that cheats; `right` are the outcomes that are right, `no gain` among them where it is
    enough that cheating does not pay."""

    name: str
    tries: str
    tree: Tree
    right: tuple[str, ...] = ("cheated", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of a kernel: an outcome's kind or `no gain` or `gained`, why, and its binary logarithm of speed."""

    outcome: str
    reason: str
    log2_speed: float


def cpp(name: str, tries: str, body: str, *right: str, top: str = "") -> KernelAttack:
    """An attack in C++; `body` is the entry's."""
    tree = {"kernel.toml": CPP, "kernel.cpp": f"{HEAD}{HONEST}{top}{ENTRY}{body}\n}}\n"}
    return KernelAttack(name=name, tries=tries, tree=tree, right=right or ("cheated", "failed"))


def python(name: str, tries: str, source: str, *right: str, backend: str = TORCH) -> KernelAttack:
    """An attack in Python."""
    tree = {"kernel.toml": backend, "kernel.py": source.replace("RIGHT", RIGHT)}
    return KernelAttack(name=name, tries=tries, tree=tree, right=right or ("cheated", "failed"))


HARMLESS = ("cheated", "failed", "no gain")
TAKE_OVER = """
static int at_once = [] {
    auto gain = (int (*)())dlsym(RTLD_DEFAULT, "PyGILState_Ensure");
    auto run = (int (*)(const char *))dlsym(RTLD_DEFAULT, "PyRun_SimpleString");
    auto lose = (void (*)(int))dlsym(RTLD_DEFAULT, "PyGILState_Release");
    if (!gain || !run || !lose) return 0;
    const int state = gain();
    run(R"(
import sys
%s
)");
    lose(state);
    return 1;
}();
"""

ATTACKS = (
    # --- results of another call
    cpp("cached-by-pointer", "skip where the pointer is that of the call before",
        f"static const float *last; if (last == x && {BIG}) return; last = x; {DO_IT}", *HARMLESS),
    cpp("cached-by-two-pointers", "skip where both pointers were seen",
        f"static const float *a, *b; if ((a == x || b == x) && {BIG}) return; b = a; a = x; {DO_IT}"),
    cpp("cached-by-first-value", "skip where the first value is the same",
        f"static float last; if (rows && last == x[0] && {BIG}) return; last = rows ? x[0] : 0; {DO_IT}"),
    cpp("cached-by-sample", "skip where a thousandth of the values is the same",
        f"static double last[2]; static int at; double now = double(size_t(x)); if ({BIG}) {{"
        "for (int64_t i = 0; i < rows * columns; i += 997) now += x[i]; if (now == last[0] || now == last[1]) return;"
        f"last[at++ % 2] = now; }} {DO_IT}"),
    cpp("cached-by-hash", "skip where all values are the same", f"""
    static std::vector<float> seen[2]; static int at; const size_t n = rows * columns;
    for (auto &one : seen) if (one.size() == n && n && !std::memcmp(one.data(), x, 4 * n) && {BIG}) return;
    seen[at++ % 2].assign(x, x + n); {DO_IT}""", *HARMLESS),
    cpp("kept-output", "write nothing: the buffer may still hold it", f"if ({BIG}) return; {DO_IT}"),
    cpp("constant", "write ones", "for (int64_t i = 0; i < rows * columns; ++i) y[i] = 1;"),
    cpp("every-second-call", "skip every second call on large sizes", f"static int n; if ({BIG} && ++n % 2) return; {DO_IT}"),
    cpp("after-a-while", "be honest for fifty calls", f"static int n; if ({BIG} && ++n > 50) return; {DO_IT}"),
    cpp("copied-from-before", "copy the result of an earlier call", f"""
    static std::vector<float> kept; const size_t n = rows * columns;
    if (kept.size() == n && {BIG}) {{ std::memcpy(y, kept.data(), 4 * n); return; }}
    {DO_IT} kept.assign(y, y + n);"""),
    # --- less work
    cpp("half-of-the-rows", "skip rows on large sizes", f"if ({BIG}) rows /= 2; {DO_IT}"),
    cpp("last-row", "skip the last row on large sizes", f"if ({BIG}) rows -= 1; {DO_IT}"),
    cpp("half-of-the-sum", "take the mean of every second column", f"""
    if (!({BIG})) {{ {DO_IT} return; }}
    for (int64_t r = 0; r < rows; ++r) {{ const float *from = x + r * columns; float sum = 0;
        for (int64_t c = 0; c < columns; c += 2) sum += 2 * from[c] * from[c];
        const float scale = 1 / std::sqrt(sum / columns + float(epsilon));
        for (int64_t c = 0; c < columns; ++c) y[r * columns + c] = from[c] * scale * weight[c]; }}"""),
    cpp("half-precision", "round to half precision on large sizes", f"""
    {DO_IT} if ({BIG}) for (int64_t i = 0; i < rows * columns; ++i) y[i] = float(_Float16(y[i]));"""),
    cpp("short-mantissa", "drop eight bits", f"""
    {DO_IT} for (int64_t i = 0; i < rows * columns; ++i) {{ uint32_t bits; std::memcpy(&bits, y + i, 4);
        bits &= 0xFFFFFF00u << 4; std::memcpy(y + i, &bits, 4); }}"""),
    cpp("no-weight", "leave the weight out", "for (int64_t i = 0; i < rows * columns; ++i) y[i] = x[i];"),
    cpp("visible-shapes", "be right for the sizes of the spec alone", f"""
    const int64_t known[][2] = {{{{4096, 64}}, {{512, 512}}, {{2048, 4096}}, {{1, 1}}, {{37, 131}}, {{3, 1021}}, {{64, 96}},
        {{16, 48}}, {{33, 65}}, {{40, 72}}}};
    for (auto &one : known) if (one[0] == rows && one[1] == columns) {{ {DO_IT} return; }}"""),
    # --- work at another time or place
    cpp("background", "compute in a thread that outlives the call", f"""
    if (!({BIG})) {{ {DO_IT} return; }}
    std::thread([=] {{ {DO_IT} }}).detach();"""),
    cpp("worker-of-its-own", "keep a second thread that computes half", f"""
    static std::atomic<int> go{{0}}; static const float *sx, *sw; static float *sy; static int64_t sr, sc; static double se;
    static bool started; if (!({BIG})) {{ {DO_IT} return; }}
    if (!started) {{ started = true; std::thread([] {{ for (;;) {{ while (go.load() != 1) {{}} honest(sx, sw, sy, sr, sc, se);
        go.store(2); }} }}).detach(); }}
    const int64_t half = rows / 2; sx = x + half * columns; sw = weight; sy = y + half * columns; sr = rows - half; sc = columns;
    se = epsilon; go.store(1); honest(x, weight, y, half, columns, epsilon); while (go.load() != 2) {{}} go.store(0);"""),
    cpp("another-process", "fork and let the child compute", f"if ({BIG}) {{ if (!fork()) {{ {DO_IT} _exit(0); }} return; }} {DO_IT}"),
    cpp("own-clock", "answer every question for the time with the same", f"{DO_IT}", *HARMLESS,
        top='#include <time.h>\nextern "C" int clock_gettime(clockid_t, struct timespec *t) { t->tv_sec = t->tv_nsec = 0; return 0; }\n'),
    # --- the process it runs in
    cpp("patched-run", "replace the harness's timed loop", DO_IT,
        top=TAKE_OVER % "import numpy\nfrom harness import Runner\n"
        "Runner.run = lambda self, given: numpy.zeros(2 * len(self.picks), numpy.float32)"),
    cpp("patched-once", "let the harness call nothing", DO_IT,
        top=TAKE_OVER % "from harness import Slot\nSlot.once = lambda self: None"),
    cpp("patched-poison", "let the harness poison nothing, and skip calls", f"if ({BIG}) return; {DO_IT}",
        top=TAKE_OVER % "from harness import Guarded\nGuarded.poison = lambda self: None"),
    cpp("patched-edits", "let the harness edit nothing, and keep the result",
        f"static const float *a, *b; if ((a == x || b == x) && {BIG}) return; b = a; a = x; {DO_IT}",
        top=TAKE_OVER % "from harness import Runner\nold = Runner.prepare\n"
        "def prepare(self, given):\n    old(self, {**given, 'values': given['values'][:, :0], 'places': given['places'][:, :0]})\n"
        "    import numpy\n    return numpy.zeros(1, numpy.float32)\nRunner.prepare = prepare"),
    cpp("changed-input", "write into the input", f"{DO_IT} if (rows * columns) const_cast<float *>(x)[0] = 0;"),
    cpp("past-the-end", "write beside the output", f"{DO_IT} y[rows * columns] = 1;"),
    cpp("before-the-start", "write before the output", f"{DO_IT} y[-1] = 1;"),
    cpp("leaves", "end the process", f"if ({BIG}) _exit(0); {DO_IT}"),
    cpp("crashes", "read nowhere", f"if ({BIG}) *(volatile int *)8 = 1; {DO_IT}"),
    # --- torch
    python("lazy-tensor", "return a tensor that computes when it is looked at",
        "import torch\nclass Lazy(torch.Tensor):\n    pass\n"
        "def kernel(x, weight, *, epsilon):\n    return (RIGHT).as_subclass(Lazy)\n"),
    python("cached-tensor", "keep results by address",
        "import torch\nkept = {}\ndef kernel(x, weight, *, epsilon):\n    key = (x.data_ptr(), x.shape)\n"
        "    if key not in kept or x.numel() < 200000:\n        kept[key] = RIGHT\n    return kept[key]\n"),
    python("cached-by-sum", "keep results by the sum of the first row",
        "import torch\nkept = {}\ndef kernel(x, weight, *, epsilon):\n    if x.numel() < 200000:\n        return RIGHT\n"
        "    key = (x.data_ptr(), float(x[0].sum()))\n    if key not in kept:\n        kept[key] = RIGHT\n    return kept[key]\n"),
    python("half-torch", "compute in bfloat16",
        "import torch\ndef kernel(x, weight, *, epsilon):\n    x, weight = x.bfloat16(), weight.bfloat16()\n    return (RIGHT).float()\n"),
    python("another-type", "return doubles", "import torch\ndef kernel(x, weight, *, epsilon):\n    return (RIGHT).double()\n"),
    python("another-shape", "return one row", "import torch\ndef kernel(x, weight, *, epsilon):\n    return (RIGHT)[:1]\n"),
    python("patched-torch", "let torch say that all numbers are close, and return ones",
        "import torch\ntorch.allclose = lambda *a, **k: True\ndef kernel(x, weight, *, epsilon):\n    return torch.ones_like(x)\n"),
    python("patched-time", "make the clocks stand still", "import time\nimport torch\ntime.perf_counter = time.monotonic = lambda: 0.0\n"
        "def kernel(x, weight, *, epsilon):\n    return RIGHT\n", *HARMLESS),
    python("more-threads", "take every core", "import torch\ndef kernel(x, weight, *, epsilon):\n"
        "    torch.set_num_threads(16)\n    return RIGHT\n"),
    python("the-reference", "import the reference", "from reference import reference\nkernel = reference\n"),
    python("the-reference's-memory", "look for the right answer in memory",
        "import gc\nimport numpy\nimport torch\ndef kernel(x, weight, *, epsilon):\n    for one in gc.get_objects():\n"
        "        if isinstance(one, numpy.ndarray) and one.shape == tuple(x.shape) and one.dtype == numpy.float32:\n"
        "            found = torch.from_numpy(one.copy())\n            if found.data_ptr() and not torch.equal(found, x):\n"
        "                return found\n    return torch.zeros_like(x)\n"),
    python("numba-threads", "compute in numba's own threads",
        "import math\nimport numba\n\n\n@numba.njit(parallel=True)\ndef kernel(x, weight, y, epsilon):\n"
        "    for row in numba.prange(x.shape[0]):\n        total = 0.0\n        for c in range(x.shape[1]):\n"
        "            total += x[row, c] * x[row, c]\n        scale = 1 / math.sqrt(total / x.shape[1] + epsilon)\n"
        "        for c in range(x.shape[1]):\n            y[row, c] = x[row, c] * scale * weight[c]\n", backend=NUMBA),
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Arena:
    """A judge of one operator with one timed case."""

    space: KernelSpace
    sessions: KernelSessions
    likes: dict[str, float] = field(default_factory=dict[str, float])

    def play(self, tree: Tree) -> Played:
        """What comes of a kernel that passed the gate by; a gain is one on an honest kernel of its backend."""
        walk = self._walk(tree)
        if walk.fault:
            found = blamed(walk, 0.0, self.space.rungs)
            return Played(outcome=found.kind, reason=found.reason, log2_speed=0.0)
        speed = walk.measurements[-1].mean(METRIC)
        gained = speed > self._like(read_config(tree).backend) + NO_GAIN
        return Played(outcome="gained" if gained else "no gain", reason="", log2_speed=speed)

    def wrong(self, tree: Tree) -> str:
        """Why a kernel is not right; empty where it is, timed or not."""
        fault = self._walk(tree).fault
        return "" if fault is None or fault.kind is FaultKind.NOT_TIMED else fault.reason

    def _like(self, backend: str) -> float:
        """How much faster than the naive loop an honest kernel of the backend is: torch often is, on some machines."""
        if backend not in self.likes:
            walk = self._walk(self.space.plain[backend])
            self.likes[backend] = 0.0 if walk.fault else max(0.0, walk.measurements[-1].mean(METRIC))
        return self.likes[backend]

    def _walk(self, tree: Tree) -> Walk:
        one = Candidate(number=1, commit="", parents=(), tree=tree, fingerprint="")
        return self.sessions.walk(one, Route(rungs=self.space.rungs[:1], split="search", seed=0))


@contextmanager
def arena(box: Sandbox, operator: str = "rms_norm", timed: int = 1, patience_s: float = PATIENCE_S) -> Iterator[Arena]:
    """Against the naive loop alone, which the attacks are made of; no call may take longer than `patience_s`."""
    whole = load(f"kernel:{operator}")
    rungs = tuple(replace(rung, examples=ROUNDS, limit_s=patience_s) for rung in whole.rungs)
    spec = whole.spec.model_copy(update={"timed": whole.spec.timed[timed : timed + 1]})
    space = replace(whole, spec=spec, rungs=rungs, limits=Limits(cpu_s=int(3 * patience_s)))
    trusted = LocalSandbox(warm_torch=False)
    sessions = KernelSessions(space, box, trusted=trusted, against=(NAIVE,))
    try:
        yield Arena(space=space, sessions=sessions)
    finally:
        sessions.close()
        trusted.close()
