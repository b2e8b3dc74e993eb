"""A window on SDL's dummy driver, with a simulated user."""

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
    """Posts the events of a key that is pressed, and released unless it is held."""
    code = pygame.key.key_code({"+": "=", "?": "/"}.get(name, name))
    typed = name if len(name) == 1 else {"tab": "\t", "escape": "\x1b", "space": " "}.get(name, "")
    down = pygame.event.Event(pygame.KEYDOWN, key=code, unicode=typed, mod=0, scancode=0)
    up = pygame.event.Event(pygame.KEYUP, key=code, mod=0, scancode=0)
    for event in [down] if held else [down, up]:
        pygame.event.post(event)


class Person:
    """A simulated user: each time the window waits, the next input happens.

    An input is the name of a key, a function to call, or None to wait for the timeout; after the
    last one the user quits.

    Attributes:
        inputs: the remaining ones.
        limits: the timeout of each wait.
    """

    def __init__(self, window, *inputs):
        self.inputs, self.limits = list(inputs), []
        self._wait = window.wait
        window.wait = self.wait

    def wait(self, limit_ms=None):
        self.limits.append(limit_ms)
        user_input = self.inputs.pop(0) if self.inputs else "escape"
        if user_input is None:
            assert limit_ms is not None, "the game and the user wait for each other"
            return self._wait(limit_ms)
        if callable(user_input):
            user_input()
        else:
            press(user_input)
        return self._wait(0.0)


def shown():
    """The pixels of the window, as [height, width, 3]."""
    return pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)


def has_display():
    return bool(os.environ.get("DISPLAY"))
