"""Signals that end a run, as a flag, so that the loop can save before it ends."""

import signal
import threading
from contextlib import suppress
from types import FrameType
from typing import Any

from gridmem.baselines.training.display import echo

SIGNALS = (signal.SIGINT, signal.SIGTERM)
HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none


class StopSignal:
    """While active, records the first signal; a second one has its ordinary effect.

    A hang-up counts, too, but never as the second, since a terminal that closes may send two.
    Signals that the process ignores stay ignored, as under nohup. Only the main thread receives
    signals, so this has no effect in others.

    Attributes:
        received: whether a signal was received.
    """

    def __init__(self, *, at_once: bool = False) -> None:
        """Nothing is received yet; `at_once` is whether the first raises KeyboardInterrupt."""
        self.received = False
        self._at_once = at_once
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "StopSignal":
        if threading.current_thread() is threading.main_thread():
            for number in (*SIGNALS, HANGUP):
                if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore(*self._previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == HANGUP:
            signal.signal(number, signal.SIG_IGN)
        else:
            self._restore(*SIGNALS)
        self.received = True
        if self._at_once:
            raise KeyboardInterrupt
        with suppress(RuntimeError):  # the signal interrupted another print
            echo("\nstopping after this update; the same again stops at once")

    def _restore(self, *numbers: int) -> None:
        for number in numbers:
            if number in self._previous:
                signal.signal(number, self._previous[number])
