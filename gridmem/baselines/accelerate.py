"""Trains a transformer beside a simpler agent: `python -m gridmem.baselines.accelerate`."""

import sys
from collections.abc import Sequence
from typing import Any

MODULE = "gridmem.baselines.accelerate"
PRESET = "pendulum-hidden"
AGENT = "agent.json"
DESCRIPTION = f"""\
The accelerator (arXiv 2509.26137): a simple agent plays and learns, a transformer learns to act
like it, and then goes on by itself with the critics of that agent and a small buffer. Beside it,
at equal steps, agents that learn from scratch; see docs/accelerator.md. With no preset: {PRESET}.
All settings of the preset are options, too, as --context, --accelerator, --stage1-steps, --buffer,
--stage2-buffer, --clone, --ascent and --num-seeds: `python -m gridmem.baselines.train {PRESET}
--help-all` lists them.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: see `gridmem.baselines.train.main`."""
    from gridmem.cli_utils import run

    return run(lambda: _accelerate(sys.argv[1:] if argv is None else argv))


def _accelerate(argv: Sequence[str]) -> int:
    import json
    from pathlib import Path

    from gridmem.cli_utils import (
        TRAINING,
        cache_programs,
        import_modules,
        python_command,
        require,
    )

    require("training", *TRAINING)
    options, words = _options(import_modules(argv))
    from gridmem.baselines.config import from_file, to_dict
    from gridmem.baselines.training.accelerated_comparison import AGENTS, members, run_all

    if options.agent is not None and options.agent not in AGENTS:
        from gridmem.envs.checks import unknown_name

        raise ValueError(unknown_name("agent", options.agent, AGENTS, "agents"))
    if options.resume is not None:
        folder = Path(options.resume)
        if not (folder / AGENT).exists() and (folder.parent / AGENT).exists():
            folder = folder.parent  # one of its runs was named
        if words or options.agent or options.stage2_steps:
            raise ValueError("a comparison is resumed with the settings that it has")
        try:
            config = from_file(folder / "config.json")
            agent = json.loads((folder / AGENT).read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(
                f"{folder} is not the folder of a comparison ({error.strerror})"
            ) from None
    else:
        config, agent = _config(words, options.stage2_steps), options.agent
        folder = _new_folder(config.run_dir)
        (folder / "config.json").write_text(json.dumps(to_dict(config), indent=2))
        (folder / AGENT).write_text(json.dumps(agent))
    cache_programs()
    resume = f"{python_command()} -m {MODULE} --resume"
    return run_all(folder, members(config, agent), resume)


def _options(argv: Sequence[str]) -> tuple[Any, list[str]]:
    """The options of this program, and the other words."""
    from gridmem.cli_utils import Parser, whole

    parser = Parser(f"python -m {MODULE}", DESCRIPTION)
    parser.usage = "%(prog)s [PRESET | FILE.json] [OPTIONS]"
    about = "train only this one: accelerated, attention, gru, lstm, window-mlp or none"
    parser.add_argument("--agent", metavar="NAME", help=about)
    about = "steps in which the transformer plays, after --stage1-steps"
    parser.add_argument("--stage2-steps", type=whole(1), metavar="N", help=about)
    about = "go on with the comparison in this folder"
    parser.add_argument("--resume", metavar="FOLDER", help=about)
    return parser.parse_known_args(list(argv))


def _config(words: list[str], stage2_steps: int | None) -> Any:
    """The settings of the accelerated run.

    Raises:
        ValueError: for an invalid command line.
    """
    from dataclasses import replace

    from gridmem.baselines.offpolicy.settings import AcceleratorConfig
    from gridmem.baselines.training.cli import parse

    if not words or words[0].startswith("-"):
        words = [PRESET, *words]
    if stage2_steps is not None and any(word.startswith("--total-steps") for word in words):
        raise ValueError("--total-steps and --stage2-steps say the same; leave out one")
    before = parse(words, f"python -m {MODULE}").config
    if not isinstance(before.method, AcceleratorConfig):
        raise ValueError(f"{words[0]} trains {before.method.name}; name a preset of an accelerator")
    if stage2_steps is None:
        return before
    return replace(before, total_steps=(before.method.stage1_steps or 0) + stage2_steps)


def _new_folder(chosen: str | None) -> Any:
    from datetime import datetime
    from pathlib import Path

    path = Path(chosen or f"runs/accelerate-{datetime.now():%Y%m%d-%H%M%S}")
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise ValueError(f"cannot make the folder {path} ({error.strerror})") from None
    return path


if __name__ == "__main__":
    sys.exit(main())
