"""Bytes to and from one worker, without ever blocking for longer than asked. Knows no frames.

Two shapes: plain pipes, and the one socket over which a Docker-compatible engine carries both output
streams. What a worker writes to stdout or stderr is noise: only its end is kept, its amount counted.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
from typing import Protocol

NOISE_KEPT = 64 << 10
NOISE_ALLOWED = 64 << 20
_CHUNK = 1 << 20


class Noise:
    """The end of what was printed, and how much there was."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self.total = 0

    def add(self, chunk: bytes) -> None:
        """Takes a chunk; only the last 64 KB of all chunks stay."""
        self.total += len(chunk)
        self._kept += chunk
        if len(self._kept) > 2 * NOISE_KEPT:
            del self._kept[:-NOISE_KEPT]

    @property
    def kept(self) -> bytes:
        """The end of what was printed, as it was printed."""
        return bytes(self._kept)

    @property
    def flooded(self) -> bool:
        """Whether more was printed than any honest candidate prints."""
        return self.total > NOISE_ALLOWED

    def tail(self) -> str:
        """The last 64 KB as text without control characters."""
        return printable(bytes(self._kept[-NOISE_KEPT:]).decode("utf-8", errors="replace"))


def printable(text: str) -> str:
    """Untrusted text, safe for a terminal and for UTF-8 files: control characters become `?`."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)


class Streams(Protocol):
    """What the conversation needs of a connection."""

    @property
    def answers(self) -> bytearray:
        """Bytes of the answer stream that nobody has consumed yet; the reader deletes what it takes."""
        ...

    @property
    def noise(self) -> Noise: ...

    @property
    def ended(self) -> bool:
        """Whether the answer stream has ended."""
        ...

    def pump(self, timeout_s: float, outgoing: memoryview | None = None) -> int:
        """Waits at most `timeout_s` for something to move; reads at most 1 MiB of it.

        Returns how many bytes of `outgoing` were sent. Zero or negative timeouts only look.
        """
        ...

    def close(self) -> None:
        """Closes the connection; never blocks."""
        ...


class PipeStreams:
    """Three pipes: requests, answers, noise. Owns the descriptors."""

    def __init__(self, *, requests: int, answers: int, noise: int) -> None:
        self.answers = bytearray()
        self.noise = Noise()
        self.ended = False
        self._requests, self._answers, self._noise = requests, answers, noise
        self._open = {requests, answers, noise}
        for descriptor in self._open:
            os.set_blocking(descriptor, False)

    def pump(self, timeout_s: float, outgoing: memoryview | None = None) -> int:
        """See `Streams.pump`."""
        watch = select.poll()
        for descriptor in (self._answers, self._noise):
            if descriptor in self._open:
                watch.register(descriptor, select.POLLIN)
        if outgoing is not None:
            watch.register(self._requests, select.POLLOUT)
        ready = {descriptor for descriptor, _ in watch.poll(max(0.0, timeout_s) * 1000)}
        if self._noise in ready:
            self._read(self._noise, self.noise.add)
        if self._answers in ready:
            self._read(self._answers, self.answers.extend)
            self.ended = self._answers not in self._open
        if outgoing is None or self._requests not in ready:
            return 0
        try:
            return os.write(self._requests, outgoing[:_CHUNK])
        except BrokenPipeError:
            self.ended = True
            return 0
        except BlockingIOError:
            return 0

    def _read(self, descriptor: int, take: object) -> None:
        assert callable(take)
        try:
            chunk = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return
        if chunk:
            take(chunk)
        else:
            self._drop(descriptor)

    def _drop(self, descriptor: int) -> None:
        self._open.discard(descriptor)
        os.close(descriptor)

    def close(self) -> None:
        """See `Streams.close`."""
        for descriptor in tuple(self._open):
            self._drop(descriptor)
        self.ended = True


class AttachedStreams:
    """The engine's attach socket: 8-byte headers tell standard output (the answers) from standard error."""

    _HEADER = struct.Struct(">BxxxL")
    _OUTPUT, _ERROR = 1, 2

    def __init__(self, connection: socket.socket) -> None:
        self.answers = bytearray()
        self.noise = Noise()
        self.ended = False
        self._connection = connection
        self._raw = bytearray()
        self._stream, self._left = 0, 0
        connection.setblocking(False)

    def pump(self, timeout_s: float, outgoing: memoryview | None = None) -> int:
        """See `Streams.pump`."""
        if self.ended:
            return 0
        watch = select.poll()
        watch.register(self._connection, select.POLLIN | (select.POLLOUT if outgoing is not None else 0))
        events = watch.poll(max(0.0, timeout_s) * 1000)
        happened = events[0][1] if events else 0
        try:
            if happened & (select.POLLIN | select.POLLHUP | select.POLLERR):
                chunk = self._connection.recv(_CHUNK)
                self.ended = not chunk
                self._sort(chunk)
            if outgoing is not None and happened & select.POLLOUT:
                return self._connection.send(outgoing[:_CHUNK])
        except BlockingIOError:
            return 0
        except (BrokenPipeError, ConnectionResetError):
            self.ended = True
        return 0

    def _sort(self, chunk: bytes) -> None:
        """Gives each byte to the stream that its header names."""
        self._raw += chunk
        position = 0
        while position < len(self._raw):
            if self._left == 0:
                if len(self._raw) - position < self._HEADER.size:
                    break
                self._stream, self._left = self._HEADER.unpack_from(self._raw, position)
                position += self._HEADER.size
            part = self._raw[position : position + self._left]
            position += len(part)
            self._left -= len(part)
            if self._stream == self._OUTPUT:
                self.answers += part
            elif self._stream == self._ERROR:
                self.noise.add(bytes(part))
        del self._raw[:position]

    def close(self) -> None:
        """Shuts the socket down first: an engine with a stalled reader hangs on the next kill."""
        self.ended = True
        with contextlib.suppress(OSError):  # the engine was quicker
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()
