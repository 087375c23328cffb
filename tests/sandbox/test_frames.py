"""The frame codec and the conversation: what was sent arrives, and damaged bytes are never more than a Fault."""

from __future__ import annotations

import contextlib
import os
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from evolve.contracts import Fault, FaultKind, Limits
from sandbox import frames
from sandbox.cell import Ending
from sandbox.session import WorkerSession
from sandbox.streams import Noise

DTYPES = st.sampled_from(
    ["<f4", "<f8", "<f2", "<i8", "<i4", "<i2", "|i1", "<u8", "<u4", "<u2", "|u1", "|b1", ">f4", ">i8"]
)
ARRAY = DTYPES.flatmap(
    lambda d: arrays_of.arrays(d, arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)
NAMED = st.dictionaries(st.text(max_size=20).filter(lambda t: t.isprintable()), ARRAY, max_size=4)


class Told:
    """A worker that has already written all it will ever write. `{ticket}` is not known to it."""

    def __init__(self, answer: bytes, *, with_ticket: bool = True) -> None:
        self.answers, self.noise, self.ended = bytearray(), Noise(), False
        self.streams = self
        self.asked, self._answer, self._with_ticket = bytearray(), answer, with_ticket

    def pump(self, timeout_s: float, outgoing: memoryview | None = None) -> int:
        if outgoing is not None:
            self.asked += outgoing
            return len(outgoing)
        if timeout_s > 0:
            ticket = frames.HEADER.unpack_from(self.asked)[2]
            answer = self._answer
            if self._with_ticket and len(answer) >= frames.HEADER.size:
                answer = answer[:5] + struct.pack("<Q", ticket) + answer[frames.HEADER.size :]
            self.answers += answer
            self.ended, self._answer = True, b""
        return 0

    def look(self) -> bool:
        return False

    def hurry(self) -> None:
        pass

    def end(self, grace_s: float) -> Ending:
        return Ending(cause="exited", reason="exited with code 0", cpu_s=0.0, peak_memory_bytes=0)

    def close(self) -> None:
        pass


def conversation(answer: bytes, *, with_ticket: bool = True) -> WorkerSession:
    return WorkerSession(Told(answer, with_ticket=with_ticket), sandbox="told", limits=Limits())


def frame(tag: bytes, parts: list[Any]) -> bytes:
    return frames.pack_header(tag, frames.size_of(parts), 0) + b"".join(bytes(part) for part in parts)


@given(NAMED)
def test_arrays_survive_the_round_trip(named: dict[str, np.ndarray]) -> None:
    """Names, shapes, values and (little-endian) dtypes."""
    packed = b"".join(bytes(part) for part in frames.pack_arrays(named))
    found = frames.unpack_arrays(packed)
    assert list(found) == list(named)
    for name, array in named.items():
        assert found[name].shape == array.shape
        assert found[name].dtype == array.dtype.newbyteorder("<")
        np.testing.assert_array_equal(found[name], array)


@given(st.binary(max_size=300))
def test_random_bytes_are_arrays_or_a_frame_error(content: bytes) -> None:
    """Nothing else ever comes out of the codec."""
    for read in (frames.unpack_arrays, frames.unpack_json):
        with contextlib.suppress(frames.FrameError):
            assert isinstance(read(content), dict)


@given(NAMED.filter(bool), st.data())
def test_a_damaged_array_frame_is_arrays_or_a_frame_error(named: dict[str, np.ndarray], draw: st.DataObject) -> None:
    """Any byte changed, and any tail cut off."""
    packed = bytearray(b"".join(bytes(part) for part in frames.pack_arrays(named)))
    packed[draw.draw(st.integers(0, len(packed) - 1))] = draw.draw(st.integers(0, 255))
    del packed[draw.draw(st.integers(0, len(packed))) :]
    with contextlib.suppress(frames.FrameError):
        frames.unpack_arrays(packed)


@given(st.binary(max_size=200), st.booleans())
def test_random_answers_are_faults(content: bytes, with_ticket: bool) -> None:
    """Neither an exception nor a hang: a Fault, the same one ever after."""
    session = conversation(content, with_ticket=with_ticket)
    fault = session.train(1, 5.0)
    assert isinstance(fault, Fault)
    assert session.predict({}, (1,), 5.0) is fault


ANSWER = np.arange(6, dtype=np.float32).reshape(2, 3)


@given(st.data())
def test_a_mutated_answer_is_the_shape_or_a_fault(draw: st.DataObject) -> None:
    """One byte changed or the end cut off: what passes is finite float32 of the shape asked for."""
    whole = bytearray(frame(frames.ANSWER, frames.pack_arrays({"answer": ANSWER})))
    whole[draw.draw(st.integers(0, len(whole) - 1))] = draw.draw(st.integers(0, 255))
    del whole[draw.draw(st.integers(len(whole) // 2, len(whole))) :]
    answer = conversation(bytes(whole)).predict({}, (2, 3), 5.0)
    if isinstance(answer, Fault):
        assert answer.kind in (FaultKind.PROTOCOL, FaultKind.EXITED)
    else:
        assert (answer.shape, answer.dtype, bool(np.isfinite(answer).all())) == ((2, 3), np.float32, True)


@pytest.mark.parametrize(
    "content",
    [b"[" * 9000, b"{" * 9000, b'{"a":1e999}', b'{"a":' + b"9" * 5000 + b"}", b'{"a":' + b"9" * 400 + b"}", b"\xff\xfe",
     b"[]", b"null", b'{"a":true}', b'{"a":"1"}', b'{"a\\u001b[2J":1}', b'{"\\ud800":1}', b'{"":1}', b'{"a":NaN}'],
)  # fmt: skip
def test_odd_observables_are_protocol_faults(content: bytes) -> None:
    """Too deep, too big, not finite, not a number, or a name that would soil a terminal."""
    fault = conversation(frame(frames.TRAINED, [content])).train(1, 5.0)
    assert isinstance(fault, Fault)
    assert fault.kind is FaultKind.PROTOCOL
    assert fault.reason.isprintable()


def test_an_error_frame_cannot_soil_a_terminal() -> None:
    """Control characters and lone surrogates of a candidate's message are replaced."""
    content = rb'{"reason":"\u001b[2J\ud800gone","detail":"\u0007line\nline","memory":false}'
    fault = conversation(frame(frames.ERROR, [content])).train(1, 5.0)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.reason, fault.detail) == (FaultKind.RAISED, "raised ?[2J?gone", "?line\nline")


def test_an_answer_written_before_the_question_is_refused() -> None:
    """A frame without the request's ticket was written ahead."""
    whole = frame(frames.ANSWER, frames.pack_arrays({"answer": ANSWER}))
    assert isinstance(conversation(whole).predict({}, (2, 3), 5.0), np.ndarray)
    fault = conversation(whole, with_ticket=False).predict({}, (2, 3), 5.0)
    assert isinstance(fault, Fault)
    assert "written ahead or forged" in fault.reason


def test_objects_have_no_code() -> None:
    """Strings and objects never become bytes of a frame."""
    for array in (np.array(["a"]), np.array([object()]), np.array([1j])):
        with pytest.raises(TypeError, match="expected a numeric array"):
            frames.pack_arrays({"a": array})


def test_pipes_never_block() -> None:
    """A reader that does not read and a writer that does not write cost only the wait asked for."""
    from sandbox.streams import PipeStreams

    requests, to_worker = os.pipe()
    from_worker, answers = os.pipe()
    from_stderr, noise = os.pipe()
    streams = PipeStreams(requests=to_worker, answers=from_worker, noise=from_stderr)
    big = memoryview(bytes(1 << 20))
    sent = sum(streams.pump(0.01, big) for _ in range(5))
    assert 0 < sent < len(big)
    os.write(noise, b"x" * 1000)
    assert streams.pump(0.01) == 0
    assert streams.noise.tail() == "x" * 1000
    os.close(requests)
    assert streams.pump(0.01, big) == 0
    assert streams.ended
    streams.close()
    for descriptor in (answers, noise):
        os.close(descriptor)
