"""Signals that end a run, as a question that a loop may ask, so that it ends where it can save."""

import signal
import threading
from contextlib import suppress
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none


class Interruption:
    """While active, notes the first signal; a second one acts as if this were not here.

    A hang-up counts, too, but never as the second, since a terminal that closes may send two.
    Signals that the process was told to ignore stay ignored, as under nohup. No thread but the main
    one gets signals, so nothing is noted in others.

    Attributes:
        came: whether a signal has come.
    """

    def __init__(self, *, at_once: bool = False) -> None:
        """Nothing has come yet; `at_once` is whether the first raises KeyboardInterrupt."""
        self.came = False
        self._at_once = at_once
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in (*SIGNALS, HANGUP):
                if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore(*self._previous)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == HANGUP:
            signal.signal(number, signal.SIG_IGN)
        else:
            self._restore(*SIGNALS)
        self.came = True
        if self._at_once:
            raise KeyboardInterrupt
        with suppress(RuntimeError):  # it came within another print
            print("\nstopping after this update; the same again stops at once", flush=True)

    def _restore(self, *numbers: int) -> None:
        for number in numbers:
            if number in self._previous:
                signal.signal(number, self._previous[number])
