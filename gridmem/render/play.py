"""Play by keyboard, watch an agent, make videos: `python -m gridmem.render.play [ID] [OPTIONS]`."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

NEEDED_BY_AGENTS = "flax", "optax", "safetensors"

if TYPE_CHECKING:
    from argparse import Namespace


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: see `gridmem.cli_utils.run`."""
    from gridmem.cli_utils import import_modules, run

    return run(lambda: _play(import_modules(sys.argv[1:] if argv is None else argv)))


def _play(argv: Sequence[str]) -> int:
    from gridmem.render.player.keys import STARTING
    from gridmem.render.player.options import parse

    options = parse(argv)
    with suppress(OSError):  # its loss ends nothing
        print(STARTING, flush=True)
    _set_up_jax()
    has_files = options.video or options.gif or options.frames or options.picture
    for message in filter(None, (_write_files if has_files else _open_window)(options)):
        print(message)
    return 0


def _write_files(options: "Namespace") -> list[str]:
    from gridmem.render.player.episode_log import EpisodeLog
    from gridmem.render.player.pictures import episode_frames, play_out, write_picture
    from gridmem.render.player.setup import set_up, start_game
    from gridmem.render.video import write_frames, write_video

    if options.player == "keys":
        raise ValueError("--player keys needs a window; choose another --player")
    log = EpisodeLog(None, options.save)
    setup = set_up(options, _named_agent(options), has_keys=False)
    game = start_game(setup, options, lambda game: "")
    play_out(game, options.steps)
    saved = log.save_replay(game)
    for path in filter(None, (options.video, options.gif)):
        write_video(path, episode_frames(game, options.size, options.steps), float(options.speed))
    if options.frames:
        write_frames(options.frames, episode_frames(game, options.size, options.steps))
    if options.picture:
        write_picture(options.picture, game, options.steps)
    written = filter(None, (options.video, options.gif, options.frames, options.picture))
    return [saved, *(f"wrote {path}" for path in written)]


def _open_window(options: "Namespace") -> list[str]:
    from gridmem.render.player.episode_log import EpisodeLog, score_file
    from gridmem.render.player.main_loop import run_game, run_in_background
    from gridmem.render.player.recorder import Recorder
    from gridmem.render.player.setup import set_up, start_game
    from gridmem.render.window import Window

    if options.steps is not None:
        raise ValueError("--steps is for --video, --gif and --frames; see also --max-steps")
    log = EpisodeLog(score_file(options.scores), options.save)
    recorder = Recorder(Path.cwd(), "gridmem", float(options.speed))
    setup = set_up(options, _named_agent(options) or _default_agent(options), has_keys=True)
    window = Window("GridMem", *options.size)
    saved = ""
    try:
        game = run_in_background(window, lambda: start_game(setup, options, log.end_episode))
        if game:
            run_game(game, window, recorder)
            saved = log.save_replay(game)
    finally:
        window.close()
        recorded = recorder.stop()
    return [saved, recorded]


def _named_agent(options: "Namespace") -> Any:
    """The agent of the option --agent; None without it."""
    if options.agent is None:
        for flag in ("player", "crowd"):
            if getattr(options, flag) == "agent":
                raise ValueError(f"--{flag} agent needs a trained agent; name it with --agent RUN")
        return None
    from gridmem.cli_utils import require

    require("a trained agent", *NEEDED_BY_AGENTS)
    from gridmem.baselines import load

    agent = load(options.agent)
    members = agent.members
    if len(members) > 1 and options.id not in members:
        raise ValueError(
            f"the agent was trained in {', '.join(members)}; name one of them before the options"
        )
    return members[options.id] if len(members) > 1 else agent


def _default_agent(options: "Namespace") -> Any:
    """The released agent of the default id; None for another environment, or without libraries."""
    changes = options.id, options.replay, options.view_size, options.levels
    if any(given is not None for given in changes) or not all(map(find_spec, NEEDED_BY_AGENTS)):
        return None
    from gridmem.baselines import load
    from gridmem.render.player.setup import DEFAULT_ID

    return load(DEFAULT_ID)


def _set_up_jax() -> None:
    """Single steps are fastest on the CPU; compiled programs are cached for the next start."""
    import jax

    from gridmem.cli_utils import cache_programs

    if not os.environ.get("JAX_PLATFORMS"):
        jax.config.update("jax_platforms", "cpu")
    cache_programs()


if __name__ == "__main__":
    sys.exit(main())
