"""The pipes between the host and one guarded tree: its three streams, a leash, and a report.

The tree is killed as soon as the host lets go of the leash, be it on purpose or by dying. Knows no processes.
"""

from __future__ import annotations

import os
import select

from sandbox.streams import PipeStreams

LONGEST_REPORT = 4096


class Tether:
    """Both ends of five pipes. `theirs` are, in order: requests, answers, noise, leash, report."""

    def __init__(self) -> None:
        requests, to_worker = os.pipe()
        from_worker, answers = os.pipe()
        from_stderr, noise = os.pipe()
        leash, self._leash = os.pipe()
        self._report, report = os.pipe()
        self.theirs = (requests, answers, noise, leash, report)
        self.streams = PipeStreams(requests=to_worker, answers=from_worker, noise=from_stderr)

    def hand_over(self) -> None:
        """Closes the tree's ends here, once they were given to it (or never will be)."""
        for descriptor in self.theirs:
            os.close(descriptor)

    def let_go(self) -> None:
        """Slackens the leash; may be called twice."""
        if self._leash >= 0:
            os.close(self._leash)
            self._leash = -1

    def reported_within(self, seconds: float) -> bool:
        """Whether the tree's end was reported, or whoever should report is gone."""
        return bool(select.select([self._report], [], [], seconds)[0])

    def report(self) -> bytes:
        """The report; empty where there is none."""
        return os.read(self._report, LONGEST_REPORT)

    def close(self) -> None:
        """Closes this end of everything."""
        self.let_go()
        self.streams.close()
        os.close(self._report)
