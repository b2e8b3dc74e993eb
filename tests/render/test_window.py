import os
import subprocess
import sys
import time

import numpy as np
import pytest
import windows
from windows import dummy_window, press, pygame

from gridmem.render.keys import KEYS
from gridmem.render.window import Window


@pytest.fixture
def window(monkeypatch):
    with dummy_window(monkeypatch) as window:
        yield window


def picture(height, width):
    rng = np.random.default_rng(height)
    return rng.integers(256, size=(height, width, 3), dtype=np.uint8)


def test_a_picture_is_shown_as_it_is(window):
    window.show(picture(200, 320))
    np.testing.assert_array_equal(windows.shown(), picture(200, 320))


@pytest.mark.parametrize(("height", "width"), [(100, 120), (300, 400)])
def test_a_picture_of_another_size_is_in_the_middle(height, width, window):
    window.show(picture(300, 400))
    window.show(picture(height, width))
    rows, columns = (200 - height) // 2, (320 - width) // 2
    whole = picture(height, width)
    inside = whole[max(-rows, 0) :, max(-columns, 0) :][:200, :320]
    top, left = max(rows, 0), max(columns, 0)
    seen = windows.shown()
    np.testing.assert_array_equal(
        seen[top : top + inside.shape[0], left : left + inside.shape[1]], inside
    )
    seen[top : top + inside.shape[0], left : left + inside.shape[1]] = 0
    assert not seen.any()


def test_the_window_can_be_resized(window):
    assert window.size == (320, 200)
    pygame.display.set_mode((500, 300), pygame.RESIZABLE)
    assert window.size == (500, 300)
    window.show(picture(300, 500))
    np.testing.assert_array_equal(windows.shown(), picture(300, 500))


@pytest.mark.parametrize("name", KEYS)
def test_every_key_has_the_name_that_the_table_gives_it(name, window):
    press(name)
    assert window.wait(0.0) == [(name, False)]


def test_names_come_in_small_letters_and_by_what_is_typed(window):
    event = pygame.event.Event
    pygame.event.post(event(pygame.KEYDOWN, key=pygame.K_w, unicode="W", mod=0, scancode=0))
    pygame.event.post(event(pygame.KEYDOWN, key=pygame.K_q, unicode="\x11", mod=0, scancode=0))
    pygame.event.post(event(pygame.KEYDOWN, key=pygame.K_8, unicode="+", mod=0, scancode=0))
    assert window.wait(0.0) == [("w", False), ("q", False), ("+", False)]


def test_a_key_that_is_held_repeats_until_it_is_let_go(window):
    press("up", held=True)
    press("up", held=True)
    press("up")
    press("up")
    assert window.wait(0.0) == [("up", False), ("up", True), ("up", True), ("up", False)]


@pytest.mark.parametrize("kind", ["QUIT", "WINDOWCLOSE"])
def test_the_cross_closes_it(kind, window):
    assert not window.closed
    pygame.event.post(pygame.event.Event(getattr(pygame, kind)))
    assert window.wait() == []
    assert window.closed


def test_the_mouse_does_not_wake_it_up(window):
    window.wait(0.0)  # it has just been opened
    pygame.event.post(pygame.event.Event(pygame.MOUSEMOTION, pos=(1, 1), rel=(1, 1), buttons=()))
    before = time.monotonic()
    assert window.wait(100.0) == []
    assert time.monotonic() - before >= 0.1


def test_waiting_ends_with_the_first_event_or_when_the_time_is_over(window):
    window.wait(0.0)  # it has just been opened
    before = time.monotonic()
    assert window.wait(50.0) == []
    assert 0.05 <= time.monotonic() - before < 5
    press("up")
    before = time.monotonic()
    assert window.wait(60_000.0) == [("up", False)]
    assert time.monotonic() - before < 5


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_without_a_display_there_is_a_sentence(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match=r"there is no display for a window .*; --video, --gif"):
        Window("test", 320, 200)
    monkeypatch.setenv("DISPLAY", ":987")
    with pytest.raises(ValueError, match="there is no display for a window"):
        Window("test", 320, 200)


def test_a_window_that_nobody_sees_is_refused_unless_it_is_asked_for(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "offscreen,dummy")
    with pytest.raises(ValueError, match="there is no display for a window"):
        Window("test", 320, 200)


def test_without_pygame_there_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(ValueError, match=r"needs pygame-ce; install gridmem\[play\]; --video"):
        Window("test", 320, 200)


def test_a_window_that_waits_leaves_the_processor_alone():
    code = """
import sys, time
from gridmem.render.window import Window
window = Window("test", 320, 200)
window.wait(100.0)
start, used = time.monotonic(), time.process_time()
window.wait(3000.0)
assert time.monotonic() - start >= 3
print((time.process_time() - used) / (time.monotonic() - start))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "SDL_VIDEODRIVER": "dummy"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert float(done.stdout) < 0.05
