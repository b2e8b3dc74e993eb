"""Trains the reference agent: `python -m gridmem.baselines.train [PRESET] [FLAGS]`."""

import contextlib
import io
import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gridmem.baselines.config import TrainConfig

MODULE = "gridmem.baselines.train"
PROGRAM = f"python -m {MODULE}"
NEEDED = ("flax", "matplotlib", "optax", "orbax", "rich", "tyro")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code.

    0 when all is done, 1 if the numbers failed, 2 for bad input, 130 if interrupted.
    """
    argv = sys.argv[1:] if argv is None else argv
    try:
        try:
            missing = [name for name in NEEDED if find_spec(name) is None]
            if missing:
                raise ValueError(f"training needs {missing[0]}; install gridmem[train]")
            name, config = parse(argv)
            from gridmem.baselines.run_folder import RunFolder

            folder = RunFolder.create(config.run_dir, name)
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        from gridmem.baselines.training import run

        return run(name, config, folder, comparison(argv, config))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def parse(argv: Sequence[str]) -> tuple[str, "TrainConfig"]:
    """The preset's name and the config that a command line asks for.

    Raises:
        ValueError: for an unknown preset or flag, or a value that cannot be.
    """
    import tyro

    from gridmem.baselines.config import TrainConfig
    from gridmem.baselines.presets import PRESETS, preset
    from gridmem.envs.registry import nearest

    name, flags = "quickstart", list(argv)
    if flags and not flags[0].startswith("-"):
        name = flags.pop(0)
    presets = "\n".join(f"  {key}: {what}" for key, (what, _) in PRESETS.items())
    stderr = io.StringIO()
    try:
        with contextlib.redirect_stderr(stderr):
            config, unknown = tyro.cli(
                TrainConfig,
                prog=f"{PROGRAM} [PRESET]",
                description=f"Trains the reference agent. Presets:\n{presets}",
                args=flags,
                default=preset(name),
                return_unknown_args=True,
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as end:
        if end.code:
            raise ValueError(_sentence(stderr.getvalue())) from None
        raise
    if unknown and not unknown[0].startswith("-"):
        raise ValueError(f"{unknown[0]!r} is no flag; a preset's name comes before all flags")
    if unknown:
        known = [f"--{flag.replace('_', '-')}" for flag in _flag_names(config)]
        raise ValueError(
            f"there is no flag {unknown[0]!r}{nearest(unknown[0], known)}; --help lists the flags"
        )
    return name, config


def comparison(argv: Sequence[str], config: "TrainConfig") -> str:
    """The command for the same run with memory instead of without, or the other way round."""
    words = list(argv)
    for flag in ("--mixer", "--run-dir"):
        for number, word in enumerate(words):
            if word.split("=")[0].replace("_", "-") == flag:
                del words[number : number + 1 + ("=" not in word)]
                break
    other = "none" if config.model.mixer != "none" else "attention"
    start = "uv run " if "UV" in os.environ else ""  # uv sets it for what it runs
    return start + shlex.join(["python", "-m", MODULE, *words, "--mixer", other])


def _sentence(box: str) -> str:
    """What tyro explains in the first paragraph of its box, on one line."""
    box = re.sub(r"\x1b\[[0-9;]*m", "", box)
    inside = [line.strip(" │|") for line in box.splitlines() if line[:1] in ("│", "|")]
    rules = [number for number, line in enumerate(inside) if not line.strip("─-")]
    text = " ".join(inside[: rules[0] if rules else None]) or box
    return re.sub(r"^Error parsing (?!-)\S+: ", "", text)


def _flag_names(config: Any) -> list[str]:
    names = []
    for field in fields(config):
        value = getattr(config, field.name)
        names += _flag_names(value) if is_dataclass(value) else [field.name]
    return names


if __name__ == "__main__":
    sys.exit(main())
