import shutil

import games
import pytest

from gridmem.render.player.pictures import frame_state
from gridmem.render.player.recorder import QUEUE_SIZE, Recorder


@pytest.fixture(scope="module")
def state():
    return frame_state(games.game_of(games.env_of(games.CORRIDOR)))


def test_existing_files_are_kept(state, tmp_path):
    (tmp_path / "a-1.png").write_text("precious")
    recorder = Recorder(tmp_path, "a", 8.0)
    assert recorder.screenshot(state, 320, 200) == f"wrote {tmp_path / 'a-2.png'}"
    assert recorder.screenshot(state, 320, 200) == f"wrote {tmp_path / 'a-3.png'}"
    assert (tmp_path / "a-1.png").read_text() == "precious"


def test_without_a_start_nothing_is_recorded(state, tmp_path):
    recorder = Recorder(tmp_path, "a", 8.0)
    recorder.add_frame(state)
    assert (recorder.recording, recorder.stop(), list(tmp_path.iterdir())) == (False, "", [])


def test_a_recording(state, tmp_path):
    recorder = Recorder(tmp_path, "a", 8.0)
    assert recorder.start(320, 200) == f"recording {tmp_path / 'a-1.mp4'}; V: stop"
    for _ in range(5):
        recorder.add_frame(state)
    assert recorder.recording
    assert recorder.stop() == f"wrote {tmp_path / 'a-1.mp4'}"
    assert (recorder.recording, recorder.stop()) == (False, "")


def test_unwritable_files_give_a_message(state, tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    recorder = Recorder(folder, "a", 8.0)
    shutil.rmtree(folder)
    assert "cannot write" in recorder.screenshot(state, 320, 200)
    recorder.start(320, 200)
    for _ in range(2 * QUEUE_SIZE):  # more than the queue holds
        recorder.add_frame(state)
    assert recorder.stop().startswith("the video was not written: cannot write")
