import time
from threading import Event

import games
import pytest
import windows
from windows import Person, dummy_window, press, pygame

from gridmem.render.frame import frame
from gridmem.render.player.frame_state import moment_of
from gridmem.render.player.main_loop import live, while_busy
from gridmem.render.player.recorder import Camera
from gridmem.render.png import read_png

ENV = games.env_of(games.CORRIDOR)


@pytest.fixture
def window(monkeypatch):
    with dummy_window(monkeypatch) as window:
        yield window


def lived(window, tmp_path, *things, game=None, **options):
    """The game and the person after a while in the window."""
    game = game or games.game_of(ENV, **options)
    person = Person(window, *things)
    camera = Camera(tmp_path, "test", 8.0)
    try:
        live(game, window, camera)
    finally:
        camera.stop()
    return game, person


def test_keys_play_the_game_and_escape_ends_it(window, tmp_path):
    game, person = lived(window, tmp_path, "right", "d", "up", "a", "escape", "right")
    assert [int(action[0]) for action in game.session.actions] == [1, 1, 0, 3]
    assert not game.running
    assert person.things == ["right"]
    assert person.limits == [None] * 5  # turn by turn: it waits as long as it takes


def test_the_cross_ends_it(window, tmp_path):
    close = pygame.event.Event(pygame.QUIT)
    game, person = lived(window, tmp_path, "right", lambda: pygame.event.post(close), "right")
    assert (game.session.last, person.things) == (1, ["right"])


def test_what_is_shown_is_the_moment_at_the_size_of_the_window(window, tmp_path):
    game, shots = games.game_of(ENV), []

    def look():
        shots.append((windows.shown(), frame(moment_of(game), *window.size)))

    def resize():
        pygame.display.set_mode((400, 300), pygame.RESIZABLE)

    lived(window, tmp_path, "right", look, "tab", look, resize, look, game=game)
    assert [expected.shape for _, expected in shots] == [(200, 320, 3)] * 2 + [(300, 400, 3)]
    for seen, expected in shots:
        assert (seen == expected).all()


def test_a_held_move_is_made_once_a_picture_and_a_held_switch_once(window, tmp_path):
    def hold(name, times):
        return lambda: [press(name, held=True) for _ in range(times)]

    game, _ = lived(window, tmp_path, hold("right", 5), hold("right", 3), hold("tab", 3))
    assert game.session.last == 2
    assert game.whole


def test_the_oracle_plays_at_its_speed_until_it_is_paused(window, tmp_path):
    start = time.monotonic()
    game, person = lived(window, tmp_path, "o", *[None] * 6, "space", speed=8)
    assert 2 <= game.session.last <= 6
    assert time.monotonic() - start >= game.session.last / 8
    assert person.limits[0] is None
    assert all(limit <= 1000 / 8 for limit in person.limits[1:-1])
    assert person.limits[-1] is None  # paused: it waits for a key


def test_a_person_takes_over_and_hands_back(window, tmp_path):
    things = "o", *[None] * 4, "left", "o", "space"
    game, _ = lived(window, tmp_path, *things, speed=64)
    assert game.lead == "oracle"
    assert game.paused
    assert [int(action[0]) for action in game.session.actions].count(3) == 1


def test_pictures_and_videos(window, tmp_path):
    lived(window, tmp_path, "p", "right", "v", "right", "right", "v", "p")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["test-1.mp4", "test-1.png", "test-2.png"]
    picture = read_png(tmp_path / "test-1.png")
    assert (picture == frame(moment_of(games.game_of(ENV)), 320, 200)).all()


def test_work_is_done_beside_the_window(window):
    assert while_busy(window, lambda: 7) == 7

    def fails():
        raise ValueError("a sentence")

    with pytest.raises(ValueError, match="a sentence"):
        while_busy(window, fails)


def test_a_window_that_is_closed_during_the_work_goes_at_once(window):
    go_on, close = Event(), window.close

    def work():
        assert go_on.wait(60)
        return 7

    def closing():
        close()
        go_on.set()  # the work ends only when the window is gone

    window.close = closing
    Person(window, None, "escape")
    assert while_busy(window, work) is None
    assert window.closed
