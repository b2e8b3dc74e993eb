"""Measures the trainer's speed: `python -m gridmem.baselines.bench [OPTIONS]`."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import Namespace

    from gridmem.baselines.config import TrainConfig

DESCRIPTION = """\
Measures how fast agents play and learn on this process's first device: agent steps a second (the
median of the repeats), seconds to trace and compile, the speed of the matrix products as a share of
that of large ones, and what an agent step costs by the plan and by XLA's own account.

Without --preset it is the reference, on a CPU in float32 with 4 caves of 16 agents.
"""
ENVIRONMENT = "environment"
PARTS = (ENVIRONMENT, "rollout", "training", "whole")
REFERENCE = "reference"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: see `gridmem.cli_utils.run`."""
    from gridmem.cli_utils import run

    return run(lambda: _bench(sys.argv[1:] if argv is None else argv))


def parse(argv: Sequence[str]) -> "Namespace":
    """The options that a command line gives.

    Raises:
        ValueError: for an unknown option or an invalid value.
        SystemExit: after --help.
    """
    from gridmem.cli_utils import Parser, whole

    parser = Parser("python -m gridmem.baselines.bench", DESCRIPTION)
    add = parser.add_argument
    add("--mixers", metavar="A,B", help="the preset's own; all for every one")
    add("--layers", metavar="N,M", help="the preset's own number")
    add("--parts", default=",".join(PARTS), metavar="A,B", help=f"all: {', '.join(PARTS)}")
    add("--preset", metavar="NAME", help="of the trainer, or a FILE.json of settings")
    add("--num-envs", type=whole(1), metavar="N", help="instead of the preset's")
    add("--num-minibatches", type=whole(1), metavar="N", help="likewise")
    add("--attention", metavar="NAME", help="likewise; auto, cudnn, triton or xla")
    add("--decode", metavar="NAME", help="likewise; auto, triton or xla")
    add("--feed-forward", metavar="NAME", help="likewise; auto, triton or xla")
    add("--dtype", metavar="NAME", help="likewise; float32 or bfloat16")
    add("--repeats", type=whole(1), default=3, metavar="N", help="of each part; 3")
    add("--out", metavar="FILE.json", help="for everything that is measured")
    options = parser.read(argv, "all arguments are options")
    options.parts = _chosen("--parts", options.parts, PARTS)
    if options.layers is not None:
        options.layers = list(dict.fromkeys(map(_layers, options.layers.split(","))))
    return options


def _bench(argv: Sequence[str]) -> int:
    from dataclasses import replace

    from gridmem.cli_utils import require

    options = parse(argv)
    require("a benchmark", "flax", "optax")
    from gridmem.baselines.config import to_dict
    from gridmem.baselines.costs.benchmark import (
        TABLE_HEAD,
        measure,
        measure_environment,
        table_row,
    )
    from gridmem.baselines.costs.hardware import this_machine
    from gridmem.baselines.costs.plan import plan, problem
    from gridmem.baselines.training.kernel_choice import choose_kernels, try_kernels

    of_agent = [part for part in options.parts if part != ENVIRONMENT]
    config, models = _configs(options)
    models = models if of_agent else []
    choices = [try_kernels(model, choose_kernels(model)) for model in models]
    models = [choice.apply(model) for choice, model in zip(choices, models, strict=True)]
    machine, results = this_machine(), []

    def report(measurement: Any) -> None:
        results.append(measurement.to_dict())
        print(table_row(measurement), flush=True)
        if options.out is not None:
            record = {"machine": machine._asdict(), "config": to_dict(config)}
            record |= {"kernels": kernels, "results": results}
            _write(options.out, json.dumps(record, indent=2) + "\n")

    if options.out is not None:
        _write(options.out, "")
    kernels = sorted({*map(str, choices)})
    about = "".join(f"kernels: {each}\n" for each in kernels)
    print(f"{machine}\n{_summary(config)}\n{about}\n{TABLE_HEAD}", flush=True)
    with _no_compilation_cache():
        if ENVIRONMENT in options.parts:
            report(measure_environment(config, options.repeats))
        for model in models:
            if sentence := problem(replace(plan(model), num_devices=1)):
                raise ValueError(sentence)
            for measurement in measure(model, of_agent, options.repeats):
                report(measurement)
    return 0


def _configs(options: "Namespace") -> tuple["TrainConfig", list["TrainConfig"]]:
    """The settings that all have in common, and those of each model that is measured.

    Raises:
        ValueError: for invalid settings.
    """
    from dataclasses import replace

    from gridmem.baselines.registration import MIXERS

    config = _settings(options)
    names = ",".join(MIXERS) if options.mixers == "all" else options.mixers
    mixers = [config.model.mixer] if names is None else _chosen("--mixers", names, MIXERS)
    configs = [
        replace(config, model=replace(config.model, mixer=mixer, num_layers=num_layers))
        for mixer in mixers
        for num_layers in options.layers or [config.model.num_layers]
    ]
    return config, configs


def _settings(options: "Namespace") -> "TrainConfig":
    """The preset's, with what the options change."""
    from dataclasses import replace
    from pathlib import Path
    from typing import get_args

    import jax

    from gridmem.baselines.config import (
        AttentionName,
        DecodeName,
        DtypeName,
        FeedForwardName,
        from_file,
    )
    from gridmem.baselines.presets import preset

    name = options.preset or REFERENCE
    try:
        config = from_file(Path(name)) if name.endswith(".json") else preset(name)
    except OSError as error:
        raise ValueError(f"{name} cannot be used ({error.strerror})") from None
    small = options.preset is None and jax.default_backend() == "cpu"
    given = {name: value for name, value in vars(options).items() if value is not None}
    known = {
        "dtype": DtypeName,
        "attention": AttentionName,
        "decode": DecodeName,
        "feed_forward": FeedForwardName,
    }
    for name, names in known.items():
        if name in given and given[name] not in get_args(names):
            choices = " or ".join(get_args(names))
            flag = f"--{name.replace('_', '-')}"
            raise ValueError(f"{flag} is {given[name]!r}; it must be {choices}")
    model = {"dtype": "float32"} if small else {}
    model |= {name: given[name] for name in known if name in given}
    ppo = {"num_envs": 4} if small else {}
    ppo |= {name: given[name] for name in ("num_envs", "num_minibatches") if name in given}
    return replace(config, model=replace(config.model, **model), method=replace(config.ppo, **ppo))


def _summary(config: "TrainConfig") -> str:
    env, ppo = config.make_env(), config.ppo
    steps = ppo.rollout_steps or env.max_steps
    return (
        f"{config.env.env_id}, {ppo.num_envs} x {env.num_agents} agents, {steps} steps, "
        f"{ppo.num_epochs} x {ppo.num_minibatches} minibatches, {config.model.dtype}"
    )


@contextmanager
def _no_compilation_cache() -> Iterator[None]:
    """A context in which nothing is read from the compilation cache."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    before = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()  # the setting is read once and then remembered
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
        compilation_cache.reset_cache()


def _chosen(option: str, text: str, known: Any) -> list[str]:
    """The names in a list that commas separate."""
    from gridmem.envs.checks import nearest

    names = list(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in known:
            takes = f"it takes {', '.join(known)}"
            raise ValueError(f"{option} is given {name!r}{nearest(name, list(known))}; {takes}")
    return names


def _layers(text: str) -> int:
    from gridmem.cli_utils import integer

    with suppress(ValueError):
        if (number := integer(text)) > 0:
            return number
    raise ValueError(f"--layers has {text!r}; it must be whole numbers above 0, as in 1,2,6")


def _write(file: str, text: str) -> None:
    from pathlib import Path

    try:
        Path(file).write_text(text)
    except OSError as error:
        raise ValueError(f"cannot write {file} ({error.strerror})") from None


if __name__ == "__main__":
    sys.exit(main())
