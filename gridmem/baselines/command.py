"""What a command line asks the trainer to do."""

import contextlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from gridmem.baselines.config import TrainConfig, from_file
from gridmem.baselines.presets import PRESETS, preset
from gridmem.envs.registry import nearest

DEFAULT = "quickstart"
_OF_PROCESSES = ("--distributed", "--coordinator", "--num-processes", "--process-id")
_OF_RESUMED = ("--resume", "--extend", "--plan", "--print-config", *_OF_PROCESSES)


@dataclass(frozen=True)
class Command:
    """What to do, and with which settings."""

    config: TrainConfig = field(default_factory=TrainConfig)
    plan: bool = False
    """Print what the run would cost and need, and do nothing."""
    print_config: bool = False
    """Print the settings as JSON, to be kept in a file and named instead of a preset."""
    resume: str | None = None
    """Go on with the run in this folder; its settings stay as they are."""
    extend: int | None = None
    """With --resume: agent steps to add to the run's total_steps."""
    distributed: bool = False
    """Train with other processes, as a cluster tells them to (Slurm, MPI, Kubernetes)."""
    coordinator: str | None = None
    """Likewise where nothing tells: HOST:PORT at which the first process listens."""
    num_processes: int | None = None
    """With --coordinator: how many processes there are."""
    process_id: int | None = None
    """With --coordinator: which of them this is, the first being 0."""
    name: Annotated[str, tyro.conf.Suppress] = DEFAULT


def parse(argv: Sequence[str], program: str) -> Command:
    """The command that the words ask for.

    Args:
        argv: what follows the program's name: a preset or a JSON file, then flags.
        program: its name, for the help.

    Raises:
        ValueError: for an unknown preset or flag, or a value that cannot be.
        SystemExit: after --help.
    """
    name, flags = DEFAULT, list(argv)
    if flags and not flags[0].startswith("-"):
        name = flags.pop(0)
    command = _read(flags, Command(_settings(name), name=_short(name)), program)
    if command.extend is not None and command.resume is None:
        raise ValueError("--extend adds steps to a run that is named with --resume")
    _check_processes(command)
    if command.resume is None:
        return command
    given = [flag.split("=")[0].replace("_", "-") for flag in flags if flag.startswith("--")]
    others = [name] if argv[0] == name else [flag for flag in given if flag not in _OF_RESUMED]
    if others:
        raise ValueError(
            f"a run is resumed with the settings that it has; leave out {others[0]}, or begin a "
            "new run"
        )
    return _resumed(command, Path(command.resume))


def _check_processes(command: Command) -> None:
    three = command.coordinator, command.num_processes, command.process_id
    if all(each is None for each in three):
        return
    if any(each is None for each in three):
        raise ValueError("--coordinator, --num-processes and --process-id go together")
    num, id = command.num_processes or 0, command.process_id or 0
    if num < 1 or not 0 <= id < num:
        raise ValueError(
            f"--process-id is {id} and --num-processes {num}; the first must be from 0 to below "
            "the second"
        )


def _resumed(command: Command, run: Path) -> Command:
    """With the settings of the run in the folder, which `run_dir` names."""
    config = _from(run / "config.json", f"{run} is not the folder of a run")
    if command.extend is not None:
        if command.extend < 1:
            raise ValueError(f"--extend is {command.extend}; it must be a whole number above 0")
        config = replace(config, total_steps=config.total_steps + command.extend)
    model = config.model
    # Where it goes on there may be no such kernels.
    attention = "auto" if model.attention == "cudnn" else model.attention
    decode = "auto" if model.decode == "triton" else model.decode
    config = replace(config, model=replace(model, attention=attention, decode=decode))
    return replace(command, config=replace(config, run_dir=str(run)), name=run.name)


def _settings(name: str) -> TrainConfig:
    if not name.endswith(".json"):
        return preset(name)
    return replace(_from(Path(name), f"{name} cannot be used"), run_dir=None)


def _short(name: str) -> str:
    return Path(name).stem if name.endswith(".json") else name


def _from(path: Path, what: str) -> TrainConfig:
    try:
        return from_file(path)
    except OSError as error:
        raise ValueError(f"{what}: {path} ({error.strerror})") from None


def _read(flags: list[str], default: Command, program: str) -> Command:
    presets = "\n".join(f"  {key}: {what}" for key, (what, _) in PRESETS.items())
    stderr = io.StringIO()
    try:
        with contextlib.redirect_stderr(stderr):
            command, unknown = tyro.cli(
                Command,
                prog=f"{program} [PRESET | FILE.json]",
                description=f"Trains the reference agent. Presets:\n{presets}",
                args=flags,
                default=default,
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
        known = [f"--{flag.replace('_', '-')}" for flag in _flag_names(command)]
        raise ValueError(
            f"there is no flag {unknown[0]!r}{nearest(unknown[0], known)}; --help lists the flags"
        )
    return command


def _sentence(box: str) -> str:
    """What tyro explains in the first paragraph of its box, on one line."""
    box = re.sub(r"\x1b\[[0-9;]*m", "", box)
    inside = [line.strip(" │|") for line in box.splitlines() if line[:1] in ("│", "|")]
    rules = [number for number, line in enumerate(inside) if not line.strip("─-")]
    text = " ".join(inside[: rules[0] if rules else None]) or box
    return re.sub(r"^Error parsing (?!-)\S+: ", "", text)


def _flag_names(config: Any) -> list[str]:
    names = []
    for each in fields(config):
        value = getattr(config, each.name)
        names += _flag_names(value) if is_dataclass(value) else [each.name]
    return names
