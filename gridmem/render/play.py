"""Play by keyboard, watch an agent, make videos: `python -m gridmem.render.play [ID] [OPTIONS]`."""

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

NEEDED_BY_AGENTS = "flax", "optax", "safetensors"

if TYPE_CHECKING:
    from argparse import Namespace


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: see `gridmem.cli_utils.run`."""
    from gridmem.cli_utils import run

    return run(lambda: _play(sys.argv[1:] if argv is None else argv))


def _play(argv: Sequence[str]) -> int:
    from gridmem.render.player.keys import STARTING
    from gridmem.render.player.options import parse

    options = parse(argv)
    print(STARTING, flush=True)
    _set_up_jax()
    if options.video or options.gif or options.frames or options.picture:
        return _make_films(options)
    return _open_window(options)


def _make_films(options: "Namespace") -> int:
    from gridmem.render.player.output import film, play_out, write_picture
    from gridmem.render.player.records import Records
    from gridmem.render.player.setup import begin, set_up
    from gridmem.render.video import write_frames, write_video

    if options.player == "keys":
        raise ValueError("there are no keys without a window; choose another --player")
    records = Records(None, options.save)
    game = begin(set_up(options, _trained(options), has_keys=False), options, lambda game: "")
    play_out(game, options.steps)
    said = [records.save(game)]
    for path in filter(None, (options.video, options.gif)):
        write_video(path, film(game, options.size, options.steps), float(options.speed))
        said.append(f"wrote {path}")
    if options.frames:
        write_frames(options.frames, film(game, options.size, options.steps))
        said.append(f"wrote {options.frames}")
    if options.picture:
        write_picture(options.picture, game, options.steps)
        said.append(f"wrote {options.picture}")
    for sentence in filter(None, said):
        print(sentence)
    return 0


def _open_window(options: "Namespace") -> int:
    from gridmem.render.player.main_loop import live, while_busy
    from gridmem.render.player.recorder import Camera
    from gridmem.render.player.records import Records
    from gridmem.render.player.scores import score_file
    from gridmem.render.player.setup import begin, set_up
    from gridmem.render.window import Window

    if options.steps is not None:
        raise ValueError("--steps is for --video, --gif and --frames; see also --max-steps")
    records = Records(score_file(options.scores), options.save)
    camera = Camera(Path.cwd(), "gridmem", float(options.speed))
    setup = set_up(options, _trained(options) or _released(options), has_keys=True)
    window = Window("GridMem", *options.size)
    said = []
    try:
        game = while_busy(window, lambda: begin(setup, options, records.at_end))
        if game:
            live(game, window, camera)
            said.append(records.save(game))
    finally:
        window.close()
        said.append(camera.stop())
    for sentence in filter(None, said):
        print(sentence)
    return 0


def _trained(options: "Namespace") -> Any:
    """The agent of the run that is named, if one is."""
    if options.agent is None:
        for flag in ("player", "crowd"):
            if getattr(options, flag) == "agent":
                raise ValueError(f"--{flag} agent needs a trained one; name it with --agent RUN")
        return None
    missing = [name for name in NEEDED_BY_AGENTS if find_spec(name) is None]
    if missing:
        from gridmem.cli_utils import install

        raise ValueError(f"a trained agent needs {missing[0]}; {install('train')}")
    from gridmem.baselines import load

    return load(options.agent)


def _released(options: "Namespace") -> Any:
    """For whoever names nothing: the agent of the default id, if it can be had."""
    elsewhere = options.id, options.replay, options.view_size, options.levels
    if any(given is not None for given in elsewhere) or not all(map(find_spec, NEEDED_BY_AGENTS)):
        return None
    from gridmem.baselines import load
    from gridmem.render.player.setup import DEFAULT_ID

    return load(DEFAULT_ID)


def _set_up_jax() -> None:
    """Steps one at a time are fastest on the CPU; what was compiled is kept for the next time."""
    import jax

    if not os.environ.get("JAX_PLATFORMS"):
        jax.config.update("jax_platforms", "cpu")
    if not jax.config.jax_compilation_cache_dir and (folder := _cache_folder()):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _cache_folder() -> Path | None:
    """Where compiled programs are kept; None for a user without a place for them."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = cache / "gridmem" / "jax"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder if os.access(folder, os.W_OK) else None


if __name__ == "__main__":
    sys.exit(main())
