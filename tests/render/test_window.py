import os
import subprocess
import sys
import time

import numpy as np
import pytest
import windows
from windows import dummy_window, press, pygame

from gridmem.render.player.keys import KEYS
from gridmem.render.window import Window


@pytest.fixture
def window(monkeypatch):
    with dummy_window(monkeypatch) as window:
        yield window


def picture(height, width):
    rng = np.random.default_rng(height)
    return rng.integers(256, size=(height, width, 3), dtype=np.uint8)


def test_a_picture_is_shown_unchanged(window):
    window.show(picture(200, 320))
    np.testing.assert_array_equal(windows.shown(), picture(200, 320))


def test_a_smaller_picture_is_centred(window):
    window.show(picture(200, 320))
    window.show(picture(100, 120))
    seen = windows.shown()
    inside = seen[50:150, 100:220]
    np.testing.assert_array_equal(inside, picture(100, 120))
    inside[:] = 0
    assert not seen.any()


def test_a_larger_picture_is_scaled_down(window):
    quarters = np.zeros((600, 800, 3), np.uint8)
    quarters[:300, :400], quarters[300:, 400:] = 50, 200
    window.show(quarters)
    seen = windows.shown().astype(int)
    assert (abs(seen[5:95, 30:155] - 50) < 5).all()
    assert (abs(seen[105:195, 165:290] - 200) < 5).all()
    assert not seen[:, :25].any()
    assert not seen[:, 295:].any()


def test_a_window_fits_the_screen_and_keeps_its_shape(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(pygame.display, "get_desktop_sizes", lambda: [(1000, 500)])
    for asked, got in (
        ((300, 200), (300, 200)),
        ((1000, 900), (500, 450)),
        ((1800, 90), (900, 45)),
    ):
        window = Window("test", *asked)
        assert window.size == got
        window.close()


def test_the_window_can_be_resized(window):
    assert window.size == (320, 200)
    pygame.display.set_mode((500, 300), pygame.RESIZABLE)
    assert window.size == (500, 300)
    window.show(picture(300, 500))
    np.testing.assert_array_equal(windows.shown(), picture(300, 500))


def test_instances_share_a_window_until_the_last_is_closed(window):
    other = Window("other", 100, 100)
    window.close()
    other.show(picture(200, 320))
    np.testing.assert_array_equal(windows.shown(), picture(200, 320))
    window.show(picture(20, 20))  # it stays closed
    np.testing.assert_array_equal(windows.shown(), picture(200, 320))
    assert window.wait(0.0) == []
    other.close()
    assert not pygame.display.get_init()


@pytest.mark.parametrize("kind", [pygame.QUIT, pygame.WINDOWCLOSE])
def test_the_cross_closes_all_instances(kind, window):
    other = Window("other", 100, 100)
    pygame.event.post(pygame.event.Event(kind))
    assert other.wait() == []
    assert window.closed
    assert not pygame.display.get_init()


@pytest.mark.parametrize("end", [pygame.quit, pygame.display.quit])
def test_a_window_closed_by_something_else_is_opened_again(end, window):
    end()
    window.show(picture(200, 320))
    np.testing.assert_array_equal(windows.shown(), picture(200, 320))
    end()
    assert window.size == (320, 200)
    end()
    assert window.wait(0.0) == []
    press("up")
    press("up", held=True)
    assert window.wait(0.0) == [("up", False), ("up", False)]


def test_a_window_that_cannot_be_opened_again_is_closed(window, monkeypatch):
    pygame.quit()
    monkeypatch.setenv("SDL_VIDEODRIVER", "offscreen,dummy")
    window.show(picture(200, 320))
    assert window.closed


@pytest.mark.parametrize("name", KEYS)
def test_the_names_of_the_keys(name, window):
    press(name)
    assert window.wait(0.0) == [(name, False)]


def test_names_are_the_typed_characters_in_lower_case(window):
    event = pygame.event.Event
    pygame.event.post(event(pygame.KEYDOWN, key=pygame.K_w, unicode="W", mod=0, scancode=0))
    pygame.event.post(event(pygame.KEYDOWN, key=pygame.K_q, unicode="\x11", mod=0, scancode=0))
    pygame.event.post(event(pygame.KEYDOWN, key=pygame.K_8, unicode="+", mod=0, scancode=0))
    assert window.wait(0.0) == [("w", False), ("q", False), ("+", False)]


def test_a_held_key_repeats_until_it_is_released(window):
    press("up", held=True)
    press("up", held=True)
    press("up")
    press("up")
    assert window.wait(0.0) == [("up", False), ("up", True), ("up", True), ("up", False)]


def test_the_mouse_does_not_end_the_waiting(window):
    window.wait(0.0)  # it has just been opened
    pygame.event.post(pygame.event.Event(pygame.MOUSEMOTION, pos=(1, 1), rel=(1, 1), buttons=()))
    before = time.monotonic()
    assert window.wait(100.0) == []
    assert time.monotonic() - before >= 0.1


def test_waiting_ends_with_the_first_event_or_the_timeout(window):
    window.wait(0.0)  # it has just been opened
    before = time.monotonic()
    assert window.wait(50.0) == []
    assert 0.05 <= time.monotonic() - before < 5
    press("up")
    before = time.monotonic()
    assert window.wait(60_000.0) == [("up", False)]
    assert time.monotonic() - before < 5


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_without_a_display_a_message_names_alternatives(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match=r"there is no display for a window .*; --video, --gif"):
        Window("test", 320, 200)
    monkeypatch.setenv("DISPLAY", ":987")
    with pytest.raises(ValueError, match="there is no display for a window"):
        Window("test", 320, 200)


def test_an_invisible_driver_is_refused_unless_requested(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "offscreen,dummy")
    with pytest.raises(ValueError, match="there is no display for a window"):
        Window("test", 320, 200)


def test_without_pygame_a_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(ValueError, match=r"needs pygame-ce; install .*'\.\[play\]'; --video"):
        Window("test", 320, 200)


def test_waiting_uses_no_processor_time():
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
