import json
import shlex
import subprocess
import sys
from importlib import util
from itertools import pairwise
from pathlib import Path

import games
import jax
import numpy as np
import pytest

import gridmem
from gridmem.envs.analysis.replay import load_replay, save_replay
from gridmem.render.play import _cache_folder, _released, main
from gridmem.render.player.keys import AIM, STARTING
from gridmem.render.player.options import parse
from gridmem.render.player.scores import score_file
from gridmem.render.player.setup import DEFAULT_ID, set_up
from gridmem.render.png import read_png

ID = "GridMem-9x9-v0"
SHORT = f"{ID} --seed 3 --max-steps 12 --size 320x200"


def run(capfd, command):
    """The exit code, stdout after what it says first, and stderr of the program."""
    code = main(shlex.split(command))
    out, err = capfd.readouterr()
    return code, out.removeprefix(f"{STARTING}\n"), err


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a small run."""
    return saved_run(tmp_path_factory.mktemp("runs") / "run")


def saved_run(folder, **model):
    """As the trainer leaves it, of an agent that has learnt nothing; its episodes have 16 steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent.parent / "baselines")
        import saved_runs
        import tiny
    return saved_runs.save(folder, tiny.config(model={"num_layers": 1, **model}))


def frames_of(folder):
    return [read_png(path) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("GridMem-9x8-v0", "'GridMem-9x8-v0' (did you mean 'GridMem-9x9-v0'?); the ids are"),
        ("--vidio x.mp4", "no option '--vidio' (did you mean '--video'?); --help lists them"),
        ("--zzz=3", "there is no option '--zzz'; --help lists them"),
        (f"{ID} again", "'again' is too much; there is one id, and options begin with --"),
        ("--seed -1", "argument --seed: '-1' is not a whole number, 0 or more"),
        ("--seed", "argument --seed: expected one argument"),
        ("--speed 65", "'65' is not a whole number from 1 to 64"),
        ("--size 100x900", "'100x900' is not a size like 960x640, from 160x160 up"),
        ("--player cat", "argument --player: invalid choice: 'cat'"),
        ("--steps 0 --gif x.gif", "'0' is not a whole number, 1 or more"),
        ("--steps 3", "--steps is for --video, --gif and --frames"),
        ("--view-size 4", "view_size is 4; it must be an odd number of cells"),
        ("--agents 0", "num_agents is 0; it must be a whole number, 1 or more"),
        ("--levels tset", "there is no split 'tset' (did you mean 'test'?)"),
        (f"{ID} --levels test --level 1000", f"there is no level 1000 in test of {ID}"),
        ("--player agent", "--player agent needs a trained one; name it with --agent RUN"),
        ("--crowd agent", "--crowd agent needs a trained one; name it with --agent RUN"),
        ("--player keys --gif x.gif", "there are no keys without a window"),
        (f"{SHORT} --heat memory --gif a.gif", "--heat memory shows what a trained agent attends"),
        ("--agent .", ". is no run: there is no agent.safetensors in it"),
        ("--replay none.npz", "there is no replay none.npz"),
        ("--replay text.npz", "text.npz is not a replay of gridmem, or is damaged"),
        ("--replay x.npz --seed 3", "a replay has its own environment and level; leave out seed"),
        (f"--replay x.npz {ID}", "a replay has its own environment and level; leave out id"),
        (f"{SHORT} --save /nosuch/e.npz", "cannot write /nosuch/e.npz (No such file"),
        (f"{SHORT} --video /nosuch/a.mp4", "cannot write /nosuch/a.mp4 (No such file"),
        (f"{SHORT} --gif a.mov", "a.mov is neither an mp4 nor a gif"),
        (f"{SHORT} --frames /proc/frames", "cannot write /proc/frames ("),
        (f"{SHORT} --picture /nosuch/a.png", "cannot write /nosuch/a.png (No such file"),
        (f"{SHORT} --scores /nosuch/s", "cannot write scores to /nosuch/s (No such file"),
    ],
)
def test_bad_input_is_answered_by_one_sentence(command, sentence, folder, capfd, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    (folder / "text.npz").write_text("text")
    code, out, err = run(capfd, command)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_without_a_display_a_sentence_names_what_needs_none(folder, capfd, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    code, out, err = run(capfd, f"{SHORT} --scores s")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "no display for a window" in err
    assert "--video" in err


@pytest.mark.parametrize(
    ("name", "command", "sentence"),
    [
        ("pygame", f"{SHORT} --scores s", "a window needs pygame-ce; install gridmem[play]"),
        ("imageio_ffmpeg", f"{SHORT} --gif a.gif", "needs imageio-ffmpeg; install gridmem[play]"),
    ],
)
def test_missing_extras_are_named(name, command, sentence, folder, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    code, out, err = run(capfd, command)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err


def test_the_extra_of_trained_agents_is_named(folder, capfd, monkeypatch):
    find = util.find_spec
    monkeypatch.setattr(
        "gridmem.render.play.find_spec", lambda name: None if name == "optax" else find(name)
    )
    code, _, err = run(capfd, "--agent runs/x --gif a.gif")
    assert code == 2
    assert err.startswith("error: a trained agent needs optax; install gridmem[train]")
    assert err.count("\n") == 1


def test_help_names_the_ids_and_every_option(capfd):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    out = capfd.readouterr().out
    assert AIM in out
    for name in vars(parse([])):
        assert name == "id" or f"--{name.replace('_', '-')}" in out
    for id in gridmem.CONFIGS:
        assert id in out


def test_films_pictures_and_the_replay_of_one_episode(folder, capfd):
    command = "--gif a.gif --video a.mp4 --frames a --picture a.png --save a.npz --speed 16"
    code, out, err = run(capfd, f"{SHORT} {command}")
    assert (code, err) == (0, "")
    assert out == "saved a.npz\nwrote a.mp4\nwrote a.gif\nwrote a\nwrote a.png\n"
    frames = frames_of(folder / "a")
    assert len(frames) == 13
    assert frames[0].shape == (200, 320, 3)
    for name in ("a.gif", "a.mp4"):
        assert count_frames(folder / name) == 13
    replay = load_replay("a.npz")
    assert replay.title == f"{ID}, seed 3, level 0"
    # Without more said it is the oracle that plays.
    env = gridmem.make(ID, max_steps=12)
    levels = jax.tree.map(lambda leaf: leaf[None], replay.level)
    np.testing.assert_array_equal(replay.actions, gridmem.oracle_actions(env, levels)[0])


def count_frames(path):
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", path, "-f", "rawvideo", "-pix_fmt", "gray"]
    # A video player shows a frame when its time comes; one written frame is one frame read.
    command += ["-fps_mode", "passthrough", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert len(done.stdout) % (200 * 320) == 0
    return len(done.stdout) // (200 * 320)


def test_a_replay_gives_the_same_pictures_each_time(folder, capfd):
    run(capfd, f"{SHORT} --player random --frames a --save e.npz --whole --heat trip")
    for name in ("b", "c"):
        code, _, err = run(capfd, f"--replay e.npz --frames {name} --whole --heat trip")
        assert (code, err) == (0, "")
    # At another size, and the panel says "replay": but the second and the third are the same.
    for one, other in zip(frames_of(folder / "b"), frames_of(folder / "c"), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(frames_of(folder / "b")) == 13
    saved = load_replay("e.npz")
    run(capfd, "--replay e.npz --frames d --save again.npz")
    np.testing.assert_array_equal(load_replay("again.npz").actions, saved.actions)


def test_the_same_level_file_gives_the_same_pictures(folder, capfd):
    levels = gridmem.levels(ID)
    gridmem.save_levels("mine.npz", gridmem.Level(*(leaf[5:7] for leaf in levels)))
    for name, where in (
        ("a", "mine.npz --level 1"),
        ("b", "mine.npz --level 1"),
        ("c", "mine.npz"),
    ):
        command = f"{ID} --levels {where} --max-steps 12 --size 320x200 --player random --whole"
        assert run(capfd, f"{command} --frames {name} --save {name}.npz")[::2] == (0, "")
    a, b, c = (frames_of(folder / name) for name in "abc")
    np.testing.assert_array_equal(a, b)
    assert (np.array(a) != c).any()
    np.testing.assert_array_equal(load_replay("a.npz").level.tiles, levels.tiles[6])


def test_a_replay_of_other_rules_is_refused(folder, capfd):
    env = games.env_of(games.CORRIDOR)
    save_replay("e.npz", env, games.level_of(env), np.ones((6, 1), int), np.array([7]))
    code, _, err = run(capfd, "--replay e.npz --gif a.gif")
    assert code == 2
    assert err == (
        "error: the replay was saved with [7] visits and is played here with [1]: "
        "this version of gridmem has other rules\n"
    )


def test_a_mixer_that_cannot_tell_what_it_draws_on_is_named(folder, capfd):
    saved_run(folder / "gru", mixer="gru")
    code, _, err = run(capfd, "--agent gru --heat memory --gif a.gif")
    assert code == 2
    assert err == (
        "error: --heat memory shows past steps that attention draws on; this agent's mixer, gru, "
        "does not tell; leave the option out\n"
    )


def test_a_trained_agent_plays_where_it_was_trained(trained, folder, capfd):
    files = "--frames a --save a.npz --picture a.png"
    code, _, err = run(capfd, f"--agent {trained} --seed 1 --heat memory {files}")
    assert (code, err) == (0, "")
    assert len(frames_of(folder / "a")) == 17  # its episodes have 16 steps
    assert load_replay("a.npz").config == gridmem.make(ID, max_steps=16).config
    run(capfd, "--replay a.npz --picture b.png --frames r")
    told, untold = (read_png(folder / name)[80:] for name in ("a.png", "b.png"))
    assert (told != untold).any()  # below the titles: a replay knows no attention
    run(capfd, f"--agent {trained} --frames b --save b.npz --seed 1 --greedy")
    run(capfd, f"--agent {trained} --frames c --save c.npz --seed 1 --greedy")
    one, same = load_replay("b.npz"), load_replay("c.npz")
    np.testing.assert_array_equal(one.actions, same.actions)
    assert (load_replay("a.npz").actions != one.actions).any()


def test_a_trained_agent_plays_elsewhere_if_it_is_told_the_same(trained, folder, capfd):
    where = "GridMem-20x20-v0 --max-steps 20 --size 320x200"
    code, _, err = run(capfd, f"{where} --agent {trained} --agents 3 --whole --frames a")
    assert (code, err) == (0, "")
    assert len(frames_of(folder / "a")) == 21
    code, _, err = run(capfd, f"{where} --agent {trained} --view-size 7 --frames b")
    assert code == 2
    assert "trained with a view of 5 cells and this environment's has 7" in err


def test_crowds_of_every_kind(folder, capfd):
    for crowd in ("random", "reactive", "oracle"):
        code, _, err = run(capfd, f"{SHORT} --agents 3 --crowd {crowd} --whole --frames {crowd}")
        assert (code, err) == (0, "")
    last = [frames_of(folder / crowd)[-1] for crowd in ("random", "reactive", "oracle")]
    assert all((one != other).any() for one, other in pairwise(last))


def test_a_person_plays_a_test_level(folder, capfd, monkeypatch):
    pytest.importorskip("pygame")
    from windows import Person

    from gridmem.render.player import main_loop as live

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    played = live.live

    def with_person(game, window, camera):
        Person(window, *["right"] * 5, "n", "down")
        played(game, window, camera)

    monkeypatch.setattr(live, "live", with_person)
    files = "--save e.npz --scores s.jsonl"
    code, out, err = run(capfd, f"{ID} --levels test --level 7 --max-steps 5 {files}")
    assert (code, out, err) == (0, "saved e.npz\n", "")
    (line,) = map(json.loads, (folder / "s.jsonl").read_text().splitlines())
    assert (line["id"], line["cave"], line["attempt"]) == (ID, "test, level 7", 1)
    replay = load_replay("e.npz")  # what was on the screen at last
    assert replay.title == f"{ID}, test, level 8"
    np.testing.assert_array_equal(replay.actions, [[2]])
    np.testing.assert_array_equal(replay.level.tiles, gridmem.levels(ID).tiles[8])


def test_the_program_says_that_it_compiles_before_it_does(capfd, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("gridmem.render.play._set_up_jax", interrupt)
    assert main([]) == 130
    assert capfd.readouterr() == (f"{STARTING}\n", "interrupted\n")


def test_whoever_names_nothing_has_the_released_agent_to_ask():
    trained = _released(parse([]))
    setup = set_up(parse(["--seed", "1"]), trained, has_keys=True)
    assert (setup.title, setup.cast.lead, setup.cast.advises) == (DEFAULT_ID, "you", False)
    assert "agent" in setup.cast.players
    for command in (ID, "--view-size 7", "--levels mine.npz", "--replay e.npz"):
        assert _released(parse(command.split())) is None


@pytest.mark.parametrize("home", ["none", "unwritable"])
def test_a_user_without_a_home_folder_can_play(home, folder, capfd, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home if home == "none" else lambda: Path("/proc/nosuch"))
    assert _cache_folder() is None
    assert score_file(None) is None


def test_an_interruption_is_no_traceback(folder, capfd, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("gridmem.render.player.setup.set_up", interrupt)
    assert run(capfd, f"{SHORT} --gif a.gif") == (130, "", "interrupted\n")
