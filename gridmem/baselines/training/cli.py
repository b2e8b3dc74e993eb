"""What a command line asks the trainer to do."""

import argparse
import ast
import inspect
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import Field, dataclass, field, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Any

from gridmem.baselines.config import TrainConfig, from_file, kinds, told
from gridmem.baselines.presets import PRESETS, preset
from gridmem.cli_utils import HELP_ALL, Parser, integer
from gridmem.envs.suggest import nearest

DEFAULT = "quickstart"
MOST_USED = (
    *("env_id", "mixer", "num_layers", "num_envs", "learning_rate", "total_steps"),
    *("seed", "num_seeds", "run_dir", "plan", "print_config", "resume", "extend"),
)
"""Settings that --help tells of; the order is that of the fields."""
OTHER_NAMES = {
    "lr": "learning-rate",
    "steps": "total-steps",
    "timesteps": "total-steps",
    "num-steps": "rollout-steps",
    "n-steps": "rollout-steps",
    "env": "env-id",
    "n-envs": "num-envs",
    "batch-size": "num-minibatches",
    "minibatch-size": "num-minibatches",
    "discount": "gamma",
    "gae-lambda": "td-lambda",
    "ent-coef": "entropy-coef",
    "vf-coef": "value-coef",
    "clip-coef": "policy-clip",
    "clip-range": "policy-clip",
    "hidden-size": "width",
    "d-model": "width",
    "out": "run-dir",
    "output-dir": "run-dir",
}
"""Names that settings have elsewhere."""
_OF_COMMAND = ("plan", "print_config", "distributed")
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
    """With --resume: agent steps to add to those of the run."""
    distributed: bool = False
    """Train with other processes, as a cluster tells them to (Slurm, MPI, Kubernetes)."""
    coordinator: str | None = None
    """Likewise where nothing tells: HOST:PORT at which the first process listens."""
    num_processes: int | None = None
    """With --coordinator: how many processes there are."""
    process_id: int | None = None
    """With --coordinator: which of them this is, the first being 0."""
    name: str = DEFAULT
    """The preset's; no flag."""


def parse(argv: Sequence[str], program: str) -> Command:
    """The command that the words ask for.

    Args:
        argv: what follows the program's name: a preset or a JSON file, then flags.
        program: its name, for the help.

    Raises:
        ValueError: for an unknown preset or flag, or a value that cannot be.
        SystemExit: after --help and --help-all.
    """
    name, flags = DEFAULT, [_hyphenated(word) for word in argv]
    if flags and not flags[0].startswith("-"):
        name = flags.pop(0)
    default = Command(_settings(name), name=_short(name))
    parser = _parser(default, program, HELP_ALL in flags)
    given = vars(parser.read(flags, "a preset's name comes before all options"))
    command = _changed(default, given)
    if command.extend is not None and command.resume is None:
        raise ValueError("--extend adds steps to a run that is named with --resume")
    _check_processes(command)
    if command.resume is None:
        return command
    others = [flag for flag in map(_flag, given) if flag not in _OF_RESUMED]
    others = [name] if argv[0] == name else others
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
        played = config.num_updates * config.steps_per_update  # at least total_steps
        config = replace(config, total_steps=played + command.extend)
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


def _parser(default: Command, program: str, everything: bool) -> Parser:
    """That of the flags; a value that is not given is not in what it reads.

    Args:
        default: whose values are told.
        program: its name.
        everything: whether the help tells of more than `MOST_USED`.
    """
    presets: dict[str, list[str]] = {}
    for key, (what, _) in PRESETS.items():
        presets.setdefault(what, []).append(key)
    lines = "".join(f"\n  {', '.join(keys)}: {what}" for what, keys in presets.items())
    parser = Parser(program, f"Trains the reference agent. Presets:{lines}", "", OTHER_NAMES)
    parser.usage = "%(prog)s [PRESET | FILE.json] [OPTIONS]"
    parser.add_argument(HELP_ALL, action="help", help="tell of all options")
    most_used = parser.add_argument_group("Most used")

    def add(config: Any) -> None:
        abouts = _abouts(type(config))
        group = parser.add_argument_group((type(config).__doc__ or "").rstrip("."))
        for each in fields(config):
            value = getattr(config, each.name)
            if is_dataclass(value):
                add(value)
            elif each.name in MOST_USED:
                _add(most_used, each, value, abouts[each.name])
            elif each.name != "name":
                _add(group, each, value, abouts[each.name] if everything else None)

    add(default)
    return parser


def _add(group: Any, setting: Field[Any], value: Any, about: str | None) -> None:
    """Adds the flag of a setting; without `about` the help leaves it out."""
    known, flag = kinds(setting.type), _flag(setting.name)
    options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": argparse.SUPPRESS}
    if about is not None:
        default = "" if value is None or setting.name in _OF_COMMAND else f" (default: {value})"
        options["help"] = f"{about.rstrip('.')}{default}".replace("%", "%%")
    if setting.name in _OF_COMMAND and bool in known:
        group.add_argument(flag, action="store_true", **options)
        return
    if bool in known:
        no = {**options, "help": argparse.SUPPRESS, "dest": setting.name}
        group.add_argument(_flag(f"no_{setting.name}"), action="store_const", const=False, **no)
        options |= {"nargs": "?", "const": True}
    group.add_argument(flag, type=partial(_value, known), metavar=_metavar(known), **options)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _hyphenated(word: str) -> str:
    """A flag that may be written with underscores, as it is known; other words as they are."""
    flag, is_, value = word.partition("=")
    return flag.replace("_", "-") + is_ + value if word.startswith("--") else word


def _metavar(known: Sequence[Any]) -> str:
    names = {int: "N", float: "X", bool: "true|false", str: "NAME"}
    return "|".join(names.get(kind, str(kind)) for kind in known if kind is not NoneType)


def _value(known: Sequence[Any], text: str) -> Any:
    """What a word on the command line stands for, if it is of one of these kinds."""
    truths = {"true": True, "false": False}
    if text in known:
        return text
    if NoneType in known and text == "None":
        return None
    if bool in known and text.lower() in truths:
        return truths[text.lower()]
    for kind, read in ((int, integer), (float, float), (str, str)):
        if kind in known:
            with suppress(ValueError):
                return read(text)
    choices = [kind for kind in known if isinstance(kind, str)]
    raise argparse.ArgumentTypeError(f"{text!r} is not {told(known)}{nearest(text, choices)}")


def _abouts(config: type) -> dict[str, str]:
    """Setting -> the text below it in the source."""
    (declared,) = ast.parse(inspect.getsource(config)).body
    assert isinstance(declared, ast.ClassDef)
    return {
        each.target.id: inspect.cleandoc(below.value.value)
        for each, below in zip(declared.body, declared.body[1:], strict=False)
        if isinstance(each, ast.AnnAssign)
        and isinstance(each.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _changed[Config](config: Config, given: Mapping[str, Any]) -> Config:
    """A config, with the settings that are given, in whichever part of it they are."""
    changes = {}
    for each in fields(config):  # pyright: ignore[reportArgumentType]
        value = getattr(config, each.name)
        if is_dataclass(value):
            changes[each.name] = _changed(value, given)
        elif each.name in given:
            changes[each.name] = given[each.name]
    return replace(config, **changes)  # pyright: ignore[reportArgumentType]
