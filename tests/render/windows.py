"""A window on SDL's dummy driver, whose person is a list of events."""

import os
from contextlib import contextmanager

import pytest

pygame = pytest.importorskip("pygame", reason="pygame comes with gridmem[play]")

from gridmem.render.window import Window  # noqa: E402


@contextmanager
def dummy_window(monkeypatch, width=320, height=200):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    window = Window("test", width, height)
    try:
        yield window
    finally:
        window.close()


def press(name, held=False):
    """The events of a key that is pressed, and let go unless it is held."""
    code = pygame.key.key_code({"+": "=", "?": "/"}.get(name, name))
    typed = name if len(name) == 1 else {"tab": "\t", "escape": "\x1b", "space": " "}.get(name, "")
    down = pygame.event.Event(pygame.KEYDOWN, key=code, unicode=typed, mod=0, scancode=0)
    up = pygame.event.Event(pygame.KEYUP, key=code, mod=0, scancode=0)
    for event in [down] if held else [down, up]:
        pygame.event.post(event)


class Person:
    """Sits at a window: every time it waits, does the next thing.

    A thing is the name of a key, a function to be called, or None to wait as the game wants; when
    there is nothing left to do, it quits.

    Attributes:
        things: what it has not done yet.
        limits: how long the window was to wait each time.
    """

    def __init__(self, window, *things):
        self.things, self.limits = list(things), []
        self._wait = window.wait
        window.wait = self.wait

    def wait(self, limit_ms=None):
        self.limits.append(limit_ms)
        thing = self.things.pop(0) if self.things else "escape"
        if thing is None:
            assert limit_ms is not None, "the game waits for a person who waits for the game"
            return self._wait(limit_ms)
        if callable(thing):
            thing()
        else:
            press(thing)
        return self._wait(0.0)


def shown():
    """The pixels of the window, as [height, width, 3]."""
    return pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)


def has_display():
    return bool(os.environ.get("DISPLAY"))
