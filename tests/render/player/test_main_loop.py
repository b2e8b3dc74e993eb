import time
from threading import Event

import games
import pytest
import windows
from golden_files import read
from windows import Person, dummy_window, press, pygame

from gridmem.render.frame import frame
from gridmem.render.player.main_loop import run_game, run_in_background
from gridmem.render.player.pictures import frame_state
from gridmem.render.player.recorder import Recorder

ENV = games.env_of(games.CORRIDOR)


@pytest.fixture
def window(monkeypatch):
    with dummy_window(monkeypatch) as window:
        yield window


def run(window, tmp_path, *inputs, game=None, **options):
    """The game and the person after a while in the window."""
    game = game or games.game_of(ENV, **options)
    person = Person(window, *inputs)
    recorder = Recorder(tmp_path, "test", 8.0)
    try:
        run_game(game, window, recorder)
    finally:
        recorder.stop()
    return game, person


def test_keys_play_the_game_and_escape_ends_it(window, tmp_path):
    game, person = run(window, tmp_path, "right", "d", "up", "a", "escape", "right")
    assert [int(action[0]) for action in game.episode.actions] == [1, 1, 0, 3]
    assert not game.running
    assert person.inputs == ["right"]
    assert person.limits == [None] * 5  # no timeout: the game waits for a key


def test_the_cross_ends_it(window, tmp_path):
    close = pygame.event.Event(pygame.QUIT)
    game, person = run(window, tmp_path, "right", lambda: pygame.event.post(close), "right")
    assert (game.episode.num_steps, person.inputs) == (1, ["right"])


def test_the_window_shows_frames_of_its_size(window, tmp_path):
    game, shots = games.game_of(ENV), []

    def look():
        shots.append((windows.shown(), frame(frame_state(game), *window.size)))

    def resize():
        pygame.display.set_mode((400, 300), pygame.RESIZABLE)

    run(window, tmp_path, "right", look, "tab", look, resize, look, game=game)
    assert [expected.shape for _, expected in shots] == [(200, 320, 3)] * 2 + [(300, 400, 3)]
    for seen, expected in shots:
        assert (seen == expected).all()


def test_a_held_move_is_repeated_once_a_frame_and_a_held_switch_never(window, tmp_path):
    def hold(name, times):
        return lambda: [press(name, held=True) for _ in range(times)]

    game, _ = run(window, tmp_path, hold("right", 5), hold("right", 3), hold("tab", 3))
    assert game.episode.num_steps == 2
    assert game.whole


def test_the_oracle_plays_at_its_speed_until_paused(window, tmp_path):
    start = time.monotonic()
    game, person = run(window, tmp_path, "o", *[None] * 6, "space", speed=8)
    assert 2 <= game.episode.num_steps <= 6
    assert time.monotonic() - start >= game.episode.num_steps / 8
    assert person.limits[0] is None
    assert all(limit <= 1000 / 8 for limit in person.limits[1:-1])
    assert person.limits[-1] is None  # paused: it waits for a key


def test_a_person_takes_over_and_hands_back(window, tmp_path):
    inputs = "o", *[None] * 4, "left", "o", "space"
    game, _ = run(window, tmp_path, *inputs, speed=64)
    assert game.player == "oracle"
    assert game.paused
    assert [int(action[0]) for action in game.episode.actions].count(3) == 1


def test_screenshots_and_videos(window, tmp_path):
    run(window, tmp_path, "p", "right", "v", "right", "right", "v", "p")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["test-1.mp4", "test-1.png", "test-2.png"]
    picture = read(tmp_path / "test-1.png")
    assert (picture == frame(frame_state(games.game_of(ENV)), 320, 200)).all()


def test_work_in_the_background(window):
    assert run_in_background(window, lambda: 7) == 7

    def fails():
        raise ValueError("a sentence")

    with pytest.raises(ValueError, match="a sentence"):
        run_in_background(window, fails)


def test_a_window_closed_during_the_work_closes_at_once(window):
    may_end, close = Event(), window.close

    def work():
        assert may_end.wait(60)
        return 7

    def closing():
        close()
        may_end.set()  # the work ends only after the window is closed

    window.close = closing
    Person(window, None, "escape")
    assert run_in_background(window, work) is None
    assert window.closed
