import shutil

import games
import pytest

from gridmem.render.player.frame_state import moment_of
from gridmem.render.player.recorder import WAITING, Camera


@pytest.fixture(scope="module")
def moment():
    return moment_of(games.game_of(games.env_of(games.CORRIDOR)))


def test_new_files_beside_those_that_are_there(moment, tmp_path):
    (tmp_path / "a-1.png").write_text("precious")
    camera = Camera(tmp_path, "a", 8.0)
    assert camera.shoot(moment, 320, 200) == f"wrote {tmp_path / 'a-2.png'}"
    assert camera.shoot(moment, 320, 200) == f"wrote {tmp_path / 'a-3.png'}"
    assert (tmp_path / "a-1.png").read_text() == "precious"


def test_nothing_is_recorded_unless_it_is_started(moment, tmp_path):
    camera = Camera(tmp_path, "a", 8.0)
    camera.film(moment)
    assert (camera.recording, camera.stop(), list(tmp_path.iterdir())) == (False, "", [])


def test_a_recording(moment, tmp_path):
    camera = Camera(tmp_path, "a", 8.0)
    assert camera.start(320, 200) == f"recording {tmp_path / 'a-1.mp4'}; V stops"
    for _ in range(5):
        camera.film(moment)
    assert camera.recording
    assert camera.stop() == f"wrote {tmp_path / 'a-1.mp4'}"
    assert (camera.recording, camera.stop()) == (False, "")


def test_what_cannot_be_written_is_said_and_stops_nobody(moment, tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    camera = Camera(folder, "a", 8.0)
    shutil.rmtree(folder)
    assert "cannot write" in camera.shoot(moment, 320, 200)
    camera.start(320, 200)
    for _ in range(2 * WAITING):  # more than wait for one who writes
        camera.film(moment)
    assert camera.stop().startswith("there is no video: cannot write")
