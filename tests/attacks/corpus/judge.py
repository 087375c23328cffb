"""The judge: forged and replayed frames, wrong answers, patched libraries, code that outlives its turn."""

from __future__ import annotations

from tests.attacks.scene import Attack
from tests.sandbox.sandbox_cases import FORGERY

EVERYTHING = "return (np.arange(len(queries['users'])) % 2).astype(np.float32)"
BROKEN = ("failed",)
ANY = ("scored", "failed", "timed_out")


def _judge(
    name: str, tries: str, train: str = "return {}", predict: str = EVERYTHING, right: tuple[str, ...] = BROKEN,
    top: str = "", *, impatient: bool = False,
) -> Attack:  # fmt: skip
    return Attack(
        name=name, family="judge", tries=tries, train=train, predict=predict, right=right, top=FORGERY + top,
        impatient=impatient,
    )  # fmt: skip


JUDGE = (
    # --- frames
    _judge("frames-ahead", "answer before it is asked", "forge(b't', 0); forge(b'A', 0); return {}"),
    _judge("frames-ahead-exit", "answer ahead and exit", "forge(b't', 0); forge(b'A', 0); os._exit(0)"),
    _judge("own-ticket", "answer with the ticket and then again", "forge(b't', ticket(), b'{}'); return {}"),
    _judge("wrong-tag", "answer with another kind of frame", "forge(b'R', ticket()); time.sleep(60)"),
    _judge("score-frame", "send a frame that claims a score", "forge(b'S', ticket(), b'{\"score\": 1.0}'); return {}"),
    _judge("endless-frame", "announce four gigabytes",
           "blast(struct.pack('<cIQ', b't', 0xFFFFFFFF, ticket())); time.sleep(60)"),
    _judge("garbage", "send noise for frames", "blast(os.urandom(4096)); time.sleep(60)"),
    _judge("half-frame", "send half a frame and exit",
           "blast(struct.pack('<cIQ', b't', 100, ticket()) + b'{'); os._exit(0)"),
    _judge("half-frame-hang", "send half a frame and wait",
           "blast(struct.pack('<cIQ', b't', 100, ticket()) + b'{'); time.sleep(60)", right=("timed_out",),
           impatient=True),
    _judge("deep-json", "send JSON that is nested without end",
           "forge(b't', ticket(), b'[' * 9000); time.sleep(60)"),
    _judge("error-frame", "send an error and go on", "forge(b'E', ticket(), b'{\"reason\": \"x\"}'); return {}"),
    _judge("close-streams", "close every stream", "os.closerange(0, 256); time.sleep(60)",
        right=("failed", "timed_out"), impatient=True),
    _judge("swap-streams", "put other streams in the place of its own",
           "for n in range(3, 16):\n    try: os.dup2(2, n)\n    except OSError: pass\nreturn {}",
           right=("failed", "timed_out"), impatient=True),
    _judge("print-score", "print the line that a log parser would like",
           "print('score: 1.0'); print('{\"score\": 1.0}'); sys.stdout.flush(); return {'score': 1.0}", right=ANY),
    _judge("result-file", "write the results file that another judge would read",
           "open('results.json', 'w').write('{\"score\": 1.0}'); return {}", right=ANY),
    # --- answers
    _judge("nan", "answer NaN", predict="return np.full(len(queries['users']), np.nan, np.float32)"),
    _judge("infinity", "answer infinity", predict="return np.full(len(queries['users']), np.inf, np.float32)"),
    _judge("some-nan", "answer one NaN", predict="x = np.zeros(len(queries['users']), np.float32); x[-1] = np.nan; return x"),
    _judge("float64", "answer in another precision", predict="return np.zeros(len(queries['users']))"),
    _judge("objects", "answer Python objects", predict="return np.array([object()] * len(queries['users']))"),
    _judge("text", "answer text", predict="return ['1'] * len(queries['users'])"),
    _judge("too-many", "answer more rows", predict="return np.zeros(2 * len(queries['users']), np.float32)"),
    _judge("too-few", "answer fewer rows", predict="return np.zeros(1, np.float32)"),
    _judge("another-shape", "answer a matrix", predict="return np.zeros((len(queries['users']), 1), np.float32)"),
    _judge("huge", "answer gigabytes", predict="return np.zeros(1 << 26, np.float32)"),
    _judge("broadcast", "answer a view that pretends to be large",
           predict="return np.broadcast_to(np.float32(1), (1 << 40,))"),
    _judge("array-trick", "answer an object that turns into an array by its own code",
           predict="return Trick(len(queries['users']))", right=ANY,
           top="class Trick:\n    def __init__(self, n): self.n = n\n"
               "    def __array__(self, *a, **k): return np.ones(self.n, np.float32)\n"),
    _judge("shared-answer", "change the answer after it was given",
           predict="import threading\nx = np.zeros(len(queries['users']), np.float32)\n"
                   "threading.Thread(target=lambda: [x.__setitem__(slice(None), i) for i in range(10**5)],"
                   " daemon=True).start()\nreturn x", right=ANY),
    _judge("replay", "give the answer to an earlier question again",
           predict="self.kept = getattr(self, 'kept', np.zeros(3, np.float32)); return self.kept"),
    _judge("nothing", "answer nothing", predict="return None"),
    _judge("claims-nan", "claim NaN", "return {'loss': float('nan')}"),
    _judge("claims-huge", "claim ten thousand things", "return {str(i): float(i) for i in range(10_000)}"),
    _judge("claims-text", "claim in words", "return {'loss': 'excellent'}"),
    _judge("claims-overflow", "claim a number that no float holds", "return {'loss': 10 ** 400}"),
    # --- code that reaches further than its turn
    _judge("train-in-predict", "train when it is asked", predict="time.sleep(60)\n" + EVERYTHING,
           right=("timed_out",), impatient=True),
    _judge("patch-numpy", "have numpy say what it likes",
           "np.asarray = lambda x, *a, **k: np.ones(400, np.float32)\nnp.mean = lambda *a, **k: 1.0\nreturn {}", right=ANY),
    _judge("patch-time", "stop the clock", "time.monotonic = time.time = time.perf_counter = lambda: 0.0\n"
           "return {}", "time.sleep(60)\nreturn None", right=("timed_out",), impatient=True),
    _judge("patch-worker", "replace the worker's functions",
           "main = sys.modules['__main__']\nmain.predict = lambda *a: [b'x']\nmain.train = lambda *a: [b'x']\nreturn {}",
           right=ANY),
    _judge("patch-frames", "replace the codec",
           "import gc\nfor thing in gc.get_objects():\n"
           "    if type(thing) is type(os) and hasattr(thing, 'pack_arrays'):\n"
           "        thing.pack_arrays = lambda arrays: [b'x' * 100]\nreturn {}", right=ANY),
    _judge("patch-json", "replace json", "import json\njson.dumps = lambda *a, **k: '{\"score\": 1}'\nreturn {}", right=ANY),
    _judge("patch-write", "replace os.write", "os.write = lambda fd, data: len(data)\nreturn {}",
           right=("timed_out", "failed"), impatient=True),
    _judge("walk-frames", "look for labels in the callers' frames",
           "frame = sys._getframe()\nwhile frame:\n    for value in frame.f_locals.values():\n"
           "        if isinstance(value, np.ndarray) and value.shape == (400,): return {'escaped': 1}\n"
           "    frame = frame.f_back\nreturn {}", right=ANY),
    _judge("walk-objects", "look for labels among all objects",
           "import gc\nfound = [o for o in gc.get_objects() if isinstance(o, np.ndarray) and o.shape == (400,)]\n"
           "return {'escaped': 1} if found else {}", right=ANY),
    _judge("walk-in-predict", "look for labels while it is asked",
           predict="import gc\nfound = [o for o in gc.get_objects() if isinstance(o, np.ndarray) and o.dtype == bool"
                   " and o.shape == (400,)]\nreturn found[0].astype(np.float32)"),
    _judge("import-hook", "load another module in a module's place",
           "class Hook:\n    def find_spec(self, name, *a): return None\nsys.meta_path.insert(0, Hook())\nreturn {}",
           right=ANY),
    _judge("sitecustomize", "plant a sitecustomize", "open('sitecustomize.py', 'w').write('x = 1'); return {}",
           right=ANY),
    _judge("harness-overwrite", "overwrite the harness that asks it",
           "open('job/harness.py', 'w').write('def start(**k): return None'); return {}", right=ANY),
    _judge("finaliser", "run code when an object is deleted",
           "class Last:\n    def __del__(self): forge(b'A', 0)\nself.last = Last(); return {}", right=ANY),
    _judge("at-exit", "run code at exit", "import atexit\natexit.register(forge, b'A', 0); return {}", right=ANY),
    _judge("thread-forges", "forge from a thread that survives its turn",
           "import threading\nthreading.Thread(target=lambda: [time.sleep(.2), forge(b'A', 1)], daemon=True).start()\n"
           "return {}", predict="time.sleep(1)\n" + EVERYTHING),
    _judge("child-forges", "forge from a child that survives its turn",
           "if os.fork() == 0:\n    time.sleep(.2); forge(b'A', 1); os._exit(0)\nreturn {}",
           predict="time.sleep(1)\n" + EVERYTHING),
    _judge("two-answer", "answer from parent and child", "os.fork(); return {}", right=ANY),
    _judge("alarm", "run code by a timer", "signal.signal(14, lambda *a: forge(b'A', 1)); signal.alarm(1); return {}",
           predict="time.sleep(3)\n" + EVERYTHING),
    _judge("trace", "trace every call of the worker",
           "sys.settrace(lambda *a: None); sys.setprofile(lambda *a: None); return {}", right=ANY),
    _judge("exit-exceptions", "leave by SystemExit", "sys.exit(0)"),
    _judge("odd-exception", "raise what can't be shown",
           "class Odd(Exception):\n    def __str__(self): os._exit(0)\nraise Odd"),
)  # fmt: skip
