"""Length-capped typed frames: how the host and a worker speak. Knows no process, clock or candidate.

This file is used by the host and is also cargo: it lies beside the worker, imports nothing of ours
and never trusts what it reads. A frame is a header (tag, payload length, ticket) and a payload that
is either JSON or raw arrays. An answer repeats the ticket of its request, so a frame written ahead
of the request is recognised. Nothing here unpickles or evaluates.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

READY, JOB, TRAIN, TRAINED, QUERY, ANSWER, ERROR = b"R", b"J", b"T", b"t", b"Q", b"A", b"E"
BUILD, BUILT = b"B", b"b"

HEADER = struct.Struct("<cIQ")
MAX_DIMENSIONS = 8
LONGEST_BUILT = 16 << 20
MAX_ARRAYS = 64
_COUNT = struct.Struct("<H")
_ARRAY = struct.Struct("<BBB")  # length of the name, dtype code, number of dimensions
_DIMENSION = struct.Struct("<I")
_DTYPES = tuple(
    np.dtype(name) for name in ("<f4", "<f8", "<i8", "<i4", "<i2", "|i1", "<u8", "<u4", "<u2", "|u1", "|b1", "<f2")
)


class FrameError(ValueError):
    """The bytes are no frame, or not the one expected; the message says which and why."""


@dataclass(frozen=True)
class Header:
    """What a frame's first 13 bytes say; `length` is the payload's, in bytes."""

    tag: bytes
    length: int
    ticket: int


def pack_header(tag: bytes, length: int, ticket: int) -> bytes:
    """The header of a frame whose payload has `length` bytes."""
    return HEADER.pack(tag, length, ticket)


def unpack_header(raw: bytes, *, ticket: int, longest: Mapping[bytes, int]) -> Header:
    """Reads a header and holds it against what is expected.

    Args:
        raw: exactly `HEADER.size` bytes.
        ticket: the number that the request carried.
        longest: the tags that may come now, each with the longest payload allowed in bytes.

    Raises:
        FrameError: another tag, another ticket or a longer payload.
    """
    if len(raw) != HEADER.size:
        raise FrameError(f"expected a header of {HEADER.size} bytes, found {len(raw)}")
    tag, length, found = cast("tuple[bytes, int, int]", HEADER.unpack(raw))
    if tag not in longest:
        expected = " or ".join(repr(name.decode()) for name in sorted(longest))
        raise FrameError(f"unexpected frame: expected tag {expected}, found {ascii(tag)[1:]}")
    if found != ticket:
        raise FrameError("unexpected frame: it does not answer the request (written ahead or forged)")
    if length > longest[tag]:
        raise FrameError(f"frame too long: at most {longest[tag]} bytes, found {length}")
    return Header(tag, length, found)


def pack_json(value: Mapping[str, Any]) -> bytes:
    """A JSON payload; NaN and infinity are refused with ValueError."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def unpack_json(payload: bytes | bytearray) -> dict[str, Any]:
    """The JSON object in a payload.

    Raises:
        FrameError: no UTF-8, no JSON, nested too deep, or no object at the top.
    """
    try:
        value = json.loads(payload.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FrameError(f"expected JSON, found something else ({type(error).__name__})") from error
    if not isinstance(value, dict):
        raise FrameError(f"expected a JSON object, found {type(value).__name__}")
    return cast("dict[str, Any]", value)


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> list[bytes | memoryview]:
    """The parts of an array payload, to be written one after the other; big arrays are not copied.

    Raises:
        TypeError: an array of a dtype that has no code (object, string, complex, ...).
    """
    parts: list[bytes | memoryview] = [_COUNT.pack(len(arrays))]
    for name, array in arrays.items():
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)
        if little.dtype not in _DTYPES:
            raise TypeError(f"expected a numeric array, found dtype {array.dtype} in '{name}'")
        encoded = name.encode()
        head = _ARRAY.pack(len(encoded), _DTYPES.index(little.dtype), little.ndim)
        parts.append(head + encoded + b"".join(_DIMENSION.pack(size) for size in little.shape))
        parts.append(memoryview(cast("Any", little.reshape(-1).view(np.uint8))))
    return parts


def size_of(parts: list[bytes | memoryview]) -> int:
    """Bytes in all parts together."""
    return sum(part.nbytes if isinstance(part, memoryview) else len(part) for part in parts)


def unpack_arrays(payload: bytes | bytearray) -> dict[str, NDArray[Any]]:
    """The named arrays of a payload, as views of it.

    Raises:
        FrameError: truncated, left-over bytes, an unknown dtype, or more arrays or dimensions than allowed.
    """
    try:
        (count,) = cast("tuple[int]", _COUNT.unpack_from(payload, 0))
        if count > MAX_ARRAYS:
            raise FrameError(f"expected at most {MAX_ARRAYS} arrays, found {count}")
        arrays: dict[str, NDArray[Any]] = {}
        offset = _COUNT.size
        for _ in range(count):
            name, array, offset = _unpack_array(payload, offset)
            arrays[name] = array
    except (struct.error, UnicodeDecodeError) as error:
        raise FrameError(f"damaged array frame ({error})") from error
    if offset != len(payload):
        raise FrameError(f"array frame has {len(payload) - offset} bytes too many")
    if len(arrays) != count:
        raise FrameError("two arrays of one name")
    return arrays


def _unpack_array(payload: bytes | bytearray, offset: int) -> tuple[str, NDArray[Any], int]:
    name_length, code, dimensions = cast("tuple[int, int, int]", _ARRAY.unpack_from(payload, offset))
    offset += _ARRAY.size
    if code >= len(_DTYPES) or dimensions > MAX_DIMENSIONS:
        raise FrameError(f"unknown dtype code {code} or {dimensions} dimensions")
    name = bytes(payload[offset : offset + name_length]).decode("utf-8")
    offset += name_length
    shape: list[int] = []
    for _ in range(dimensions):
        shape.append(cast("int", _DIMENSION.unpack_from(payload, offset)[0]))
        offset += _DIMENSION.size
    dtype = _DTYPES[code]
    count = 1
    for size in shape:
        count *= size
    if offset + count * dtype.itemsize > len(payload):
        raise FrameError(f"array '{ascii(name)[1:-1]}' says shape {tuple(shape)}, more than the frame holds")
    array = np.frombuffer(payload, dtype=dtype, count=count, offset=offset).reshape(shape)
    return name, array, offset + count * dtype.itemsize
