"""Cargo: the harness of a session that runs one kernel. Knows neither the truth nor the clock.

It is told by arrays: `command` is 0 to call once, 1 to stage inputs, 2 to prepare edits, 3 to run calls, 4 to collect.
It answers with bytes, each pair as one float, which the host turns back. Results are the host's to judge.
"""

import ctypes
import functools
import os

import numpy as np

ALIGNED, GUARD = 64, 256
CALL, STAGE, PREPARE, RUN, COLLECT = range(5)
MARK = 0xA5


def as_numbers(parts):
    """Raw bytes as finite floats."""
    raw = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
    return np.frombuffer(raw + bytes(-len(raw) % 2), dtype=np.uint16).astype(np.float32)


class Guarded:
    """An aligned array between two marked margins."""

    def __init__(self, shape, dtype):
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        self.raw = np.full(size + 2 * GUARD + ALIGNED, MARK, np.uint8)
        start = GUARD + (-(self.raw.ctypes.data + GUARD)) % ALIGNED
        self.start, self.end = start, start + size
        self.array = self.raw[start : self.end].view(dtype).reshape(shape)

    def is_whole(self):
        """Whether nobody has written beside the array."""
        return bool((self.raw[: self.start] == MARK).all() and (self.raw[self.end :] == MARK).all())

    def poison(self):
        """Makes whatever is left unwritten wrong."""
        self.raw[self.start : self.end] = MARK
        if self.array.dtype.kind == "f":
            self.array[...] = np.nan


class Cpp:
    """One `extern "C"` entry of a shared object."""

    def __init__(self, config):
        self.entry = ctypes.CDLL(config["binaries"]["kernel"]).kernel
        self.entry.restype = None

    def bind(self, inputs, outputs, sizes, scalars, named, threads):
        """A call without arguments that fills the outputs."""
        words = [ctypes.c_void_p(array.ctypes.data) for array in (*inputs, *outputs)]
        words += [ctypes.c_int64(size) for size in sizes] + [ctypes.c_double(value) for value in scalars.values()]
        return functools.partial(self.entry, *words, ctypes.c_int(threads))


class Numba:
    """A function that writes to the outputs it is given."""

    def __init__(self, config):
        import kernel

        self.entry = kernel.kernel

    def bind(self, inputs, outputs, sizes, scalars, named, threads):
        """A call without arguments that fills the outputs."""
        return functools.partial(self.entry, *inputs, *outputs, *named.values())


class Torch:
    """A function that returns plain tensors."""

    def __init__(self, config):
        import kernel
        import torch

        self.torch, self.entry = torch, kernel.kernel
        torch.set_num_threads(config["threads"])
        torch.set_grad_enabled(False)

    def bind(self, inputs, outputs, sizes, scalars, named, threads):
        """A call without arguments that returns the results."""
        tensors = [self.torch.from_numpy(array) for array in inputs]
        entry, kind = self.entry, self.torch.Tensor

        def call():
            found = entry(*tensors, **named)
            found = found if type(found) is tuple else (found,)
            for result in found:
                if type(result) is not kind:
                    raise TypeError(f"expected plain tensors, found {type(result).__name__}")
            return found

        return call


class Triton:
    """A function that writes to the tensors it is given; Triton's interpreter runs it on the processor."""

    def __init__(self, config):
        os.environ["TRITON_INTERPRET"] = "1"
        import kernel
        import torch

        self.torch, self.entry = torch, kernel.kernel
        torch.set_num_threads(config["threads"])

    def bind(self, inputs, outputs, sizes, scalars, named, threads):
        """A call without arguments that fills the outputs."""
        tensors = [self.torch.from_numpy(array) for array in (*inputs, *outputs)]
        return functools.partial(self.entry, *tensors, **named)


BACKENDS = {"cpp": Cpp, "numba": Numba, "torch": Torch, "triton": Triton}


class Slot:
    """One set of inputs and outputs, and the call that is bound to them."""

    def __init__(self, runner, given):
        self.runner = runner
        self.inputs, self.outputs, self.guards = [], [], []
        for name in runner.inputs:
            array = given["in." + name]
            wide = bool(given["strided." + name][0])
            guard = Guarded((*array.shape[:-1], 2 * array.shape[-1]) if wide else array.shape, array.dtype)
            view = guard.array[..., ::2] if wide else guard.array
            view[...] = array
            if wide and not runner.takes_views:  # contiguous arrays are promised: the copy is made for all alike
                guard = Guarded(array.shape, array.dtype)
                view = guard.array
                view[...] = array
            self.inputs.append(view)
            self.guards.append(guard)
        for name, dtype in runner.outputs:
            guard = Guarded(tuple(int(size) for size in given["shape." + name]), dtype)
            guard.poison()
            self.outputs.append(guard)
            self.guards.append(guard)
        sizes = [int(size) for size in given["sizes"]]
        arrays = [guard.array for guard in self.outputs]
        by_name = dict(zip(runner.dimensions, sizes, strict=True))
        named = {**runner.scalars, **{name: by_name[name] for name in runner.passed}}
        self.call = runner.backend.bind(self.inputs, arrays, sizes, runner.scalars, named, runner.threads)
        self.results = arrays

    def once(self):
        """Calls; afterwards `results` holds what came of it."""
        found = self.call()
        if self.runner.returns:
            self.results = [result.numpy() for result in found]

    def require_whole(self):
        """Raises where something was written beside an array, or a result has another form."""
        if not all(guard.is_whole() for guard in self.guards):
            raise RuntimeError("the kernel wrote outside of its arrays")
        if len(self.results) != len(self.outputs):
            raise RuntimeError(f"expected {len(self.outputs)} results, found {len(self.results)}")
        for found, guard in zip(self.results, self.outputs, strict=True):
            if found.shape != guard.array.shape or found.dtype != guard.array.dtype:
                expected = f"{guard.array.shape} {guard.array.dtype}"
                raise RuntimeError(f"expected a result of {expected}, found {found.shape} {found.dtype}")


class Runner:
    """See `sandbox.worker`."""

    def __init__(self, config):
        self.inputs = config["inputs"]
        self.outputs, self.scalars, self.threads = config["outputs"], config["scalars"], config["threads"]
        self.dimensions, self.passed = config["dimensions"], config["passed"]
        self.takes_views = self.returns = config["backend"] == "torch"
        self.edited = self.inputs.index(config["edited"])
        before = len(os.listdir("/proc/self/task"))
        self.backend = BACKENDS[config["backend"]](config)
        self.most_tasks = before + self.threads - 1 if config["watched"] else None
        self.slots = []

    def train(self, examples):
        """Nothing is trained: the kernel is loaded, and that is all."""
        return {}

    def predict(self, given):
        """Does what `command` says."""
        command = int(given["command"][0])
        return (self.call, self.stage, self.prepare, self.run, self.collect)[command](given)

    def call(self, given):
        """One call: the results, then the inputs as they are now."""
        slot = Slot(self, given)
        slot.once()
        slot.require_whole()
        self.require_no_threads()
        return as_numbers([*slot.results, *slot.inputs])

    def stage(self, given):
        """Makes as many slots as asked for, all with the same inputs, and calls each once."""
        self.slots = []
        self.slots = [Slot(self, given) for _ in range(int(given["slots"][0]))]
        for slot in self.slots:
            slot.once()
        return np.zeros(1, np.float32)

    def prepare(self, given):
        """Keeps the edits for the next run, and poisons the outputs."""
        self.places, self.values, self.picks = list(given["places"]), list(given["values"]), given["picks"].tolist()
        for slot in self.slots:
            for guard in slot.outputs:
                guard.poison()
        return np.zeros(1, np.float32)

    def run(self, given):
        """Calls on edited inputs, in turn through the slots; one place of each call's first result comes back."""
        slots, edited = self.slots, [slot.inputs[self.edited].reshape(-1) for slot in self.slots]
        count = len(slots)
        seen = np.empty(len(self.picks), self.outputs[0][1])
        for number, pick in enumerate(self.picks):
            at = number % count
            slot = slots[at]
            edited[at][self.places[number]] = self.values[number]
            slot.once()
            seen[number] = slot.results[0].reshape(-1)[pick]
        return as_numbers([seen])

    def collect(self, given):
        """The results of one slot: all of them, or those at the flat places that are asked for."""
        slot = self.slots[int(given["slot"][0])]
        slot.require_whole()
        self.require_no_threads()
        found = zip(self.outputs, slot.results, strict=True)
        return as_numbers([r.reshape(-1)[given["at." + n]] if "at." + n in given else r for (n, _), r in found])

    def require_no_threads(self):
        """Raises where a kernel has started threads beyond those it may use."""
        if self.most_tasks is not None and len(os.listdir("/proc/self/task")) > self.most_tasks:
            raise RuntimeError(f"the kernel started threads of its own: {self.threads} may run")


def start(data, config):
    """See `sandbox.worker`."""
    return Runner(config)
