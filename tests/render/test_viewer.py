import copy
import pickle
import time

import gymnasium
import numpy as np
import pytest
import windows
from windows import press, pygame

import gridmem  # noqa: F401 - it registers the ids
from gridmem.render.viewer import Viewer

PICTURE = np.random.default_rng(0).integers(256, size=(50, 100, 3), dtype=np.uint8)


@pytest.fixture
def viewer(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    viewer = Viewer("test", 50.0)
    yield viewer
    viewer.close()


def test_pictures_are_shown_in_whole_multiples(viewer):
    viewer.show(PICTURE)
    seen = windows.shown()
    assert seen.shape == (300, 600, 3)
    np.testing.assert_array_equal(seen, PICTURE.repeat(6, axis=0).repeat(6, axis=1))
    viewer.show(PICTURE[:, :50])
    expected = PICTURE[:, :50].repeat(6, axis=0).repeat(6, axis=1)
    np.testing.assert_array_equal(windows.shown()[:, 150:450], expected)


def test_pictures_are_shown_at_the_frame_rate(viewer):
    viewer.show(PICTURE)
    start = time.monotonic()
    for _ in range(10):
        viewer.show(PICTURE)
    assert time.monotonic() - start >= 9 / 50


@pytest.mark.parametrize("how", ["escape", "q", "cross"])
def test_the_user_can_close_it_for_good(how, viewer):
    viewer.show(PICTURE)
    if how == "cross":
        pygame.event.post(pygame.event.Event(pygame.QUIT))
    else:
        press(how)
    viewer.show(PICTURE)
    assert not pygame.display.get_init()
    viewer.show(PICTURE)
    assert not pygame.display.get_init()


def test_several_environments_share_a_window(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    envs = [gymnasium.make("GridMem-9x9-v0", render_mode="human") for _ in range(2)]
    for env in envs:
        env.reset(seed=1)
        env.step(1)
    envs[0].close()
    envs[1].step(1)
    pygame.quit()
    envs[1].step(1)
    assert pygame.display.get_init()
    envs[1].close()
    assert not pygame.display.get_init()


def test_a_closed_viewer_can_be_used_again(viewer):
    viewer.close()
    viewer.show(PICTURE)
    viewer.close()
    assert not pygame.display.get_init()
    viewer.show(PICTURE)
    assert pygame.display.get_init()


def test_a_copy_has_no_window(viewer):
    viewer.show(PICTURE)
    for other in (copy.deepcopy(viewer), pickle.loads(pickle.dumps(viewer))):
        other.close()
        assert pygame.display.get_init()
