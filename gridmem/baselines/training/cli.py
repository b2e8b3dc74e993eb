"""The command line of the trainer: presets, files of settings and a flag for each setting."""

import argparse
import ast
import inspect
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Any

from gridmem.baselines.config import TrainConfig, from_file
from gridmem.baselines.env_settings import COMMON_OPTIONS, EnvSettings
from gridmem.baselines.method import MethodConfig, Stage
from gridmem.baselines.ppo.settings import MixtureConfig, PPOConfig
from gridmem.baselines.presets import preset
from gridmem.baselines.presets import presets as known_presets
from gridmem.baselines.setting_types import describe_types, field_types, item_type, value_types
from gridmem.cli_utils import HELP_ALL, Parser, integer
from gridmem.envs.checks import nearest
from gridmem.envs.registry import CONFIGS

DEFAULT = "quickstart"
MOST_USED = (
    *("env_id", "mixer", "num_layers", "num_envs", "learning_rate", "total_steps"),
    *("seed", "num_seeds", "run_dir", "plan", "print_config", "resume", "extend"),
)
"""Settings that --help lists; the order is that of the fields."""
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
"""Name of a setting in other programs -> ours."""
_COMMAND_FLAGS = ("plan", "print_config", "distributed")
_PROCESS_FLAGS = ("--distributed", "--coordinator", "--num-processes", "--process-id")
_RESUME_FLAGS = ("--resume", "--extend", "--plan", "--print-config", *_PROCESS_FLAGS)


@dataclass(frozen=True)
class Command:
    """A command and the settings of its run."""

    config: TrainConfig = field(default_factory=TrainConfig)
    plan: bool = False
    """Print the cost and memory of the run, without training."""
    print_config: bool = False
    """Print the settings as JSON; a file of them can be given instead of a preset."""
    resume: str | None = None
    """Resume the run in this folder; its settings cannot be changed."""
    extend: int | None = None
    """With --resume: agent steps to add to the run."""
    distributed: bool = False
    """Train with other processes, as configured by a cluster (Slurm, MPI, Kubernetes)."""
    coordinator: str | None = None
    """Likewise without a cluster: HOST:PORT at which the first process listens."""
    num_processes: int | None = None
    """With --coordinator: number of processes."""
    process_id: int | None = None
    """With --coordinator: number of this process, from 0."""
    name: str = DEFAULT
    """Of the preset; not a flag."""


def parse(argv: Sequence[str], program: str, settings: TrainConfig | None = None) -> Command:
    """Parses a command line.

    Args:
        argv: the words after the program's name: a preset or a JSON file, then flags.
        program: its name, for the help.
        settings: what the flags change; then no preset is named.

    Raises:
        ValueError: for an unknown preset or flag, or an invalid value.
        SystemExit: after --help and --help-all.
    """
    name, flags = DEFAULT, [_hyphenated(word) for word in argv]
    if flags and not flags[0].startswith("-"):
        name = flags.pop(0)
        if settings is not None:
            raise ValueError(f"{name!r} is no option; give settings as --name value")
    default = Command(settings or _settings(name), name=_short(name))
    parser = _parser(default, program, HELP_ALL in flags)
    given = vars(parser.read(flags, "a preset's name comes before all options"))
    command = _changed(default, given)
    if command.extend is not None and command.resume is None:
        raise ValueError("--extend adds steps to a run that is named with --resume")
    _check_processes(command)
    if command.resume is None:
        return command
    others = [flag for flag in map(_flag, given) if flag not in _RESUME_FLAGS]
    others = [name] if argv and argv[0] == name else others
    if others:
        raise ValueError(
            f"a run is resumed with the settings that it has; leave out {others[0]}, or start a "
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
    """The command with the settings of a run; `run_dir` is its directory."""
    config = _from(run / "config.json", f"{run} is not the folder of a run")
    if command.extend is not None:
        if command.extend < 1:
            raise ValueError(f"--extend is {command.extend}; it must be a whole number above 0")
        played = config.num_updates * config.steps_per_update  # at least total_steps
        before = config.method.stages_of(config)
        config = replace(config, total_steps=played + command.extend)
        if not _go_on(before, config.method.stages_of(config)):
            raise ValueError(
                f"--extend would change the stages of {config.method.name} that are over"
            )
    return replace(command, config=replace(config, run_dir=str(run)), name=run.name)


def _go_on(before: Sequence[Stage], after: Sequence[Stage]) -> bool:
    """Whether the updates of a run's stages are of the same kinds in a longer run."""
    *over, last = before
    if len(after) <= len(over) or list(after[: len(over)]) != over:
        return False
    same = after[len(over)]
    return same.name == last.name and same.num_updates >= last.num_updates


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
    """The parser of all flags; its result has only the flags that are given.

    Args:
        default: command whose values the help shows.
        program: its name.
        everything: whether the help lists more than `MOST_USED`.
    """
    presets: dict[str, list[str]] = {}
    for key, what in known_presets().items():
        presets.setdefault(what, []).append(key)
    lines = "".join(f"\n  {', '.join(keys)}: {what}" for what, keys in presets.items())
    parser = Parser(program, f"Trains an agent. Presets:{lines}", "", OTHER_NAMES)
    parser.usage = "%(prog)s [PRESET | FILE.json] [OPTIONS]"
    parser.add_argument(HELP_ALL, action="help", help="show all options and exit")
    most_used = parser.add_argument_group("Most used")

    def add(config: Any) -> None:
        abouts, types = _abouts(type(config)), field_types(type(config))
        has_own_flags = isinstance(config, MethodConfig) and not isinstance(config, PPOConfig)
        title = (type(config).__doc__ or "").partition("\n")[0].rstrip(".")
        group = parser.add_argument_group(title)
        unused = _unused(default.config.method)
        for each in fields(config):
            value = getattr(config, each.name)
            if is_dataclass(value):
                if each.name not in unused:
                    add(value)
            elif isinstance(config, EnvSettings) and each.name == "options":
                _add_options(group, config, everything)
            elif each.name in MOST_USED or has_own_flags:
                _add(most_used, each.name, types[each.name], value, abouts.get(each.name, ""))
            elif each.name != "name":
                about = abouts.get(each.name, "") if everything else None
                _add(group, each.name, types[each.name], value, about)

    try:
        add(default)
    except argparse.ArgumentError as error:
        raise ValueError(
            f"two settings have one name ({error}); rename that of the method"
        ) from None
    return parser


def _add_options(group: Any, env: EnvSettings, everything: bool) -> None:
    """Adds the flags of the environment's options; the help has them if `everything`."""
    for name, (annotation, about) in COMMON_OPTIONS.items():
        _add(group, name, annotation, env.options.get(name), about if everything else None)
    about = (
        "any other option of gridmem.make, as dig_steps=5, map.height=20 or task.type=Tour; the "
        "value is JSON or text; repeatable"
    )
    group.add_argument(
        "--set",
        type=option_path,
        action="append",
        default=argparse.SUPPRESS,
        metavar="PATH=VALUE",
        help=about if everything else argparse.SUPPRESS,
    )


def _add(group: Any, name: str, annotation: Any, value: Any, about: str | None) -> None:
    """Adds the flag of a setting; without `about` the help omits it."""
    item, flag = item_type(annotation), _flag(name)
    known = value_types(annotation if item is None else item)
    options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": argparse.SUPPRESS}
    if about is not None:
        default = f" (default: {value})"
        if value in (None, ()) or name in _COMMAND_FLAGS:
            default = ""
        options["help"] = f"{about.rstrip('.')}{default}".replace("%", "%%")
    if name in _COMMAND_FLAGS and bool in known:
        group.add_argument(flag, action="store_true", **options)
        return
    if item is not None:
        options["nargs"] = "+"
    if bool in known:
        no = {**options, "help": argparse.SUPPRESS, "dest": name}
        group.add_argument(_flag(f"no_{name}"), action="store_const", const=False, **no)
        options |= {"nargs": "?", "const": True}
    group.add_argument(flag, type=partial(_value, known), metavar=_metavar(known), **options)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _hyphenated(word: str) -> str:
    """A flag with hyphens instead of underscores; other words unchanged."""
    flag, is_, value = word.partition("=")
    return flag.replace("_", "-") + is_ + value if word.startswith("--") else word


def _metavar(known: Sequence[Any]) -> str:
    names = {int: "N", float: "X", bool: "true|false", str: "NAME"}
    return "|".join(names.get(kind, str(kind)) for kind in known if kind is not NoneType)


def _value(known: Sequence[Any], text: str) -> Any:
    """Parses a word of the command line as one of these kinds."""
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
    allowed = f"{describe_types(known)}{nearest(text, choices)}"
    raise argparse.ArgumentTypeError(f"{text!r} is not {allowed}")


def option_path(text: str) -> tuple[list[str], Any]:
    """The path and the value of an option of the environment."""
    path, is_, value = text.partition("=")
    if not is_ or not all(path.split(".")):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not PATH=VALUE, as dig_steps=5, map.height=20 or task.type=Tour"
        )
    with suppress(ValueError, RecursionError):
        value = json.loads(value)
    return path.replace("-", "_").split("."), value


def _abouts(config: type) -> dict[str, str]:
    """Setting -> its docstring in the source, those of base classes included."""
    base = config.__base__
    inherited = _abouts(base) if is_dataclass(base) and isinstance(base, type) else {}
    (declared,) = ast.parse(inspect.cleandoc(inspect.getsource(config))).body
    assert isinstance(declared, ast.ClassDef)
    return inherited | {
        each.target.id: inspect.cleandoc(below.value.value)
        for each, below in zip(declared.body, declared.body[1:], strict=False)
        if isinstance(each, ast.AnnAssign)
        and isinstance(each.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _unused(method: MethodConfig) -> set[str]:
    """The sections of a `TrainConfig` that a method does not read."""
    return {"model", "optimizer"} - set(method.sections)


def with_option(options: Mapping[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    """Nested options with one of them changed."""
    first, *rest = path
    inner = options.get(first, {})
    if not rest:
        return {**options, first: value}
    return {**options, first: with_option(inner if isinstance(inner, Mapping) else {}, rest, value)}


def _changed(config: Any, given: Mapping[str, Any]) -> Any:
    """A config with changed settings, in any of its parts."""
    if isinstance(config, EnvSettings):
        options = {name: given[name] for name in COMMON_OPTIONS if name in given}
        id = given.get("env_id", config.env_id)
        if {id, config.env_id} <= CONFIGS.keys() or id == config.env_id:
            options = {**config.options, **options}
        for path, value in given.get("set", []):
            if path[0] in ("env_id", *COMMON_OPTIONS):
                raise ValueError(f"--set {path[0]} has a flag of its own; use {_flag(path[0])}")
            options = with_option(options, path, value)
        return EnvSettings(id, options=options)
    if isinstance(config, MixtureConfig) and "env_id" in given:
        config = MixtureConfig()  # the numbers were for other ids
    changes = {}
    for each in fields(config):
        value = getattr(config, each.name)
        if is_dataclass(value):
            changes[each.name] = _changed(value, given)
        elif each.name in given:
            value = given[each.name]
            changes[each.name] = tuple(value) if isinstance(value, list) else value
    return replace(config, **changes)
