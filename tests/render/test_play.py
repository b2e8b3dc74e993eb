import json
import shlex
import subprocess
import sys
from importlib import util
from pathlib import Path

import games
import jax
import numpy as np
import pytest
from golden_files import read

import gridmem
from gridmem.envs.analysis.replay import load_replay, save_replay
from gridmem.render.play import main
from gridmem.render.player.keys import AIM, STARTING
from gridmem.render.player.options import parse

ID = "GridMem-9x9-v0"
SHORT = f"{ID} --seed 3 --max-steps 12 --size 320x200"


def run(capfd, command):
    """The exit code, stdout after its first line, and stderr of the program."""
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
    """The run folder of an untrained agent; its episodes have 16 steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent.parent / "baselines")
        import saved_runs
        import tiny
    return saved_runs.save(folder, tiny.config(model={"num_layers": 1, **model}))


def frames_of(folder):
    return [read(path) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("GridMem-9x8-v0", "'GridMem-9x8-v0' (did you mean 'GridMem-9x9-v0'?); the ids are"),
        ("--vidio x.mp4", "no option '--vidio' (did you mean '--video'?); --help lists them"),
        (f"{ID} again", "unexpected argument 'again'; there is one id, and options begin with --"),
        ("--seed -1", "argument --seed: '-1' is not a whole number of at least 0"),
        ("--speed 65", "'65' is not a whole number from 1 to 64"),
        ("--size 100x900", "'100x900' is not a size like 960x640, from 160x160 up"),
        ("--player cat", "argument --player: invalid choice: 'cat'"),
        ("--steps 0 --gif x.gif", "'0' is not a whole number of at least 1"),
        ("--steps 3", "--steps is for --video, --gif and --frames"),
        ("--view-size 4", "view_size is 4; it must be an odd number of cells"),
        ("--levels tset", "there is no split 'tset' (did you mean 'test'?)"),
        (f"{ID} --levels test --level 1000", f"there is no level 1000 in test of {ID}"),
        ("--player agent", "--player agent needs a trained agent; name it with --agent RUN"),
        ("--crowd agent", "--crowd agent needs a trained agent; name it with --agent RUN"),
        ("--player keys --gif x.gif", "--player keys needs a window"),
        (f"{SHORT} --heat memory --gif a.gif", "--heat memory shows what a trained agent attends"),
        ("--agent .", ". is no run: there is no agent.safetensors in it"),
        ("--replay none.npz", "there is no replay none.npz"),
        ("--replay x.npz --seed 3", "a replay has its own environment and level; leave out seed"),
        (f"--replay x.npz {ID}", "a replay has its own environment and level; leave out id"),
        (f"{SHORT} --save /nosuch/e.npz", "cannot write /nosuch/e.npz (No such file"),
        (f"{SHORT} --save /dev/null", "cannot write /dev/null (it is not a regular file)"),
        (f"{ID} --max-steps 100001", "max_steps is 100001; to be played it must be at most 10"),
        (f"{SHORT} --video /nosuch/a.mp4", "cannot write /nosuch/a.mp4 (No such file"),
        (f"{SHORT} --gif a.mov", "a.mov is neither an mp4 nor a gif"),
        (f"{SHORT} --frames /proc/frames", "cannot write /proc/frames ("),
        (f"{SHORT} --picture /nosuch/a.png", "cannot write /nosuch/a.png (No such file"),
        (f"{SHORT} --scores /nosuch/s", "cannot write scores to /nosuch/s (No such file"),
    ],
)
def test_invalid_input_gives_one_line(command, sentence, folder, capfd, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    code, out, err = run(capfd, command)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_without_a_display_the_message_names_alternatives(folder, capfd, monkeypatch):
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


def test_the_missing_extra_of_trained_agents_is_named(folder, capfd, monkeypatch):
    find = util.find_spec
    monkeypatch.setattr(
        "gridmem.cli_utils.find_spec", lambda name: None if name == "optax" else find(name)
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


def test_all_files_of_one_episode(folder, capfd):
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
    # By default the oracle plays.
    env = gridmem.make(ID, max_steps=12)
    levels = jax.tree.map(lambda leaf: leaf[None], replay.level)
    np.testing.assert_array_equal(replay.actions, gridmem.oracle_actions(env, levels)[0])


def count_frames(path):
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", path, "-f", "rawvideo", "-pix_fmt", "gray"]
    # Neither drop nor repeat frames.
    command += ["-fps_mode", "passthrough", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert len(done.stdout) % (200 * 320) == 0
    return len(done.stdout) // (200 * 320)


def test_a_replay_is_deterministic(folder, capfd):
    run(capfd, f"{SHORT} --player random --frames a --save e.npz")
    for name in ("b", "c"):
        command = f"--replay e.npz --whole --heat trip --frames {name} --save {name}.npz"
        code, _, err = run(capfd, command)
        assert (code, err) == (0, "")
        np.testing.assert_array_equal(
            load_replay(f"{name}.npz").actions, load_replay("e.npz").actions
        )
    frames = frames_of(folder / "b")
    assert len(frames) == 13
    np.testing.assert_array_equal(frames, frames_of(folder / "c"))


def test_levels_of_a_file(folder, capfd):
    levels = gridmem.levels(ID)
    gridmem.save_levels("mine.npz", gridmem.Level(*(leaf[5:7] for leaf in levels)))
    command = f"{ID} --levels mine.npz --level 1 --max-steps 2 --picture a.png --save a.npz"
    assert run(capfd, command)[::2] == (0, "")
    np.testing.assert_array_equal(load_replay("a.npz").level.tiles, levels.tiles[6])


def test_a_replay_with_other_rules_is_refused(folder, capfd):
    env = games.env_of(games.CORRIDOR)
    save_replay("e.npz", env, games.level_of(env), np.ones((6, 1), int), np.array([7]))
    code, _, err = run(capfd, "--replay e.npz --gif a.gif")
    assert code == 2
    assert err == (
        "error: the replay was saved with [7] finds, and playing it gives [1]: "
        "this version of gridmem has other rules\n"
    )


@pytest.mark.slow
def test_a_mixer_without_attention_is_named(folder, capfd):
    saved_run(folder / "gru", mixer="gru")
    code, _, err = run(capfd, "--agent gru --heat memory --gif a.gif")
    assert code == 2
    assert err == (
        "error: --heat memory shows the attention of agents of ppo; this agent (method ppo, "
        "mixer gru) has none to show; leave the option out\n"
    )


@pytest.mark.slow
def test_an_agent_of_several_environments_plays_in_one_that_is_named(folder, capfd):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent.parent / "baselines")
        import saved_runs
        import tiny
    ids = "GridMem-9x9-v0+GridMem-13x13-v0"
    config = tiny.config(
        env={"env_id": ids}, method={"rollout_steps": 4, "num_envs": 8}, model={"num_layers": 1}
    )
    saved_runs.save(folder / "both", config)
    code, _, err = run(capfd, "--agent both --gif a.gif")
    assert code == 2
    sentence = "trained in GridMem-9x9-v0, GridMem-13x13-v0; name one of them before the options"
    assert sentence in err
    assert run(capfd, "GridMem-13x13-v0 --agent both --steps 3 --frames a")[0] == 0
    assert len(frames_of(folder / "a")) == 4


def test_a_trained_agent_plays_where_it_was_trained(trained, folder, capfd):
    files = "--frames a --save a.npz --picture a.png"
    code, _, err = run(capfd, f"--agent {trained} --seed 1 --heat memory {files}")
    assert (code, err) == (0, "")
    assert len(frames_of(folder / "a")) == 17  # its episodes have 16 steps
    assert load_replay("a.npz").config == gridmem.make(ID, max_steps=16).config
    run(capfd, "--replay a.npz --picture b.png")
    attended, plain = (read(folder / name)[80:] for name in ("a.png", "b.png"))
    assert (attended != plain).any()  # below the titles: a replay has no attention
    run(capfd, f"--agent {trained} --frames b --save b.npz --seed 1 --greedy")
    assert (load_replay("a.npz").actions != load_replay("b.npz").actions).any()


def test_a_trained_agent_plays_elsewhere_with_the_same_view(trained, folder, capfd):
    where = "GridMem-20x20-v0 --max-steps 20 --size 320x200"
    code, _, err = run(capfd, f"{where} --agent {trained} --agents 3 --whole --frames a")
    assert (code, err) == (0, "")
    assert len(frames_of(folder / "a")) == 21
    code, _, err = run(capfd, f"{where} --agent {trained} --view-size 7 --frames b")
    assert code == 2
    assert "trained with a view of 5 cells and this environment's has 7" in err


def test_a_person_plays_a_test_level(folder, capfd, monkeypatch):
    pytest.importorskip("pygame")
    from windows import Person

    from gridmem.render.player import main_loop

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    run_game = main_loop.run_game

    def with_person(game, window, recorder):
        Person(window, *["right"] * 5, "n", "down")
        run_game(game, window, recorder)

    monkeypatch.setattr(main_loop, "run_game", with_person)
    files = "--save e.npz --scores s.jsonl"
    code, out, err = run(capfd, f"{ID} --levels test --level 7 --max-steps 5 {files}")
    assert (code, out, err) == (0, "saved e.npz\n", "")
    (line,) = map(json.loads, (folder / "s.jsonl").read_text().splitlines())
    assert (line["id"], line["cave"], line["attempt"]) == (ID, "test, level 7", 1)
    replay = load_replay("e.npz")  # of the last episode
    assert replay.title == f"{ID}, test, level 8"
    np.testing.assert_array_equal(replay.actions, [[2]])
    np.testing.assert_array_equal(replay.level.tiles, gridmem.levels(ID).tiles[8])


@pytest.fixture
def interrupted_setup(monkeypatch):
    """The agents that the program passes to `set_up`, which is then interrupted."""
    agents = []

    def interrupt(options, trained, *, has_keys):
        agents.append(trained)
        raise KeyboardInterrupt

    monkeypatch.setattr("gridmem.render.player.setup.set_up", interrupt)
    return agents


@pytest.mark.parametrize("command", [f"{SHORT} --gif a.gif", f"{SHORT} --scores s"])
def test_a_start_is_announced_and_can_be_interrupted(command, folder, interrupted_setup, capfd):
    assert main(shlex.split(command)) == 130
    assert capfd.readouterr() == (f"{STARTING}\n", "interrupted\n")


def test_the_default_environment_has_its_released_agent(folder, interrupted_setup):
    for command in ("", ID, "--view-size 7", "--levels mine.npz", "--replay e.npz"):
        main(["--scores", "s", *command.split()])
    assert [agent is not None for agent in interrupted_setup] == [True, *[False] * 4]


@pytest.mark.parametrize("home", ["none", "unwritable"])
def test_a_user_without_a_home_folder_can_play(home, folder, interrupted_setup, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home if home == "none" else lambda: Path("/proc/nosuch"))
    cache = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        assert main(shlex.split(SHORT)) == 130
        assert jax.config.jax_compilation_cache_dir is None
    finally:
        jax.config.update("jax_compilation_cache_dir", cache)
    assert len(interrupted_setup) == 1
