"""Learns from a dataset: `python -m gridmem.baselines.decision_transformer DATASET`."""

import json
import sys
from collections.abc import Sequence
from typing import Any

MODULE = "gridmem.baselines.decision_transformer"
ALGORITHMS = "dt", "bc", "bc10", "td3bc"
RECIPES = "ours", "published"
PICTURE, RESULTS = "target_returns.png", "target_returns.json"
_ELSEWHERE = "plan", "distributed", "coordinator", "num_processes", "process_id"
DESCRIPTION = f"""\
Offline reinforcement learning: trains an agent on a dataset of Minari; then plays with each target
return, with sampled and with greedy actions, and draws the returns. All settings of the method are
options, too, as --mixer, --context, --learning-rate, --seed and --run-dir:
`python -m {MODULE} DATASET --help-all` lists them. See docs/offline.md.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: see `gridmem.baselines.train.main`."""
    from gridmem.cli_utils import run

    return run(lambda: _learn(sys.argv[1:] if argv is None else argv))


def _learn(argv: Sequence[str]) -> int:
    from gridmem.cli_utils import TRAINING, import_modules, python_command, require

    require("training", *TRAINING)
    require("a dataset", "minari", "h5py", extra="data")
    options, words = _options(import_modules(argv))
    targets = _targets(options)
    resume = f"{python_command()} -m {MODULE} --resume"
    if options.resume is not None:
        return _go_on(options, words, targets, resume)
    from pathlib import Path

    from gridmem.baselines.config import to_dict
    from gridmem.baselines.training.loop import Run
    from gridmem.baselines.training.trackers import check_trackers

    command = _command(options, words, targets)
    config = command.config
    if command.print_config:
        print(json.dumps(to_dict(config), indent=2))
        return 0
    check_trackers(config)
    _warn(config, targets[1:])  # the run warns of the first
    name = f"{options.algorithm or 'dt'}-{Path(options.dataset).name}"
    run = Run.new(name, config, resume, "")
    return run.run() or _play(run.run_dir.path, config, targets)


def _go_on(options: Any, words: Sequence[str], targets: Sequence[str], resume: str) -> int:
    """Trains what is left of a run, and plays; returns the exit code."""
    from pathlib import Path

    from gridmem.baselines.runs.run_dir import CURVE
    from gridmem.baselines.training.cli import parse
    from gridmem.baselines.training.loop import Run

    given = options.dataset, options.algorithm, options.recipe, options.gradient_steps
    if words or any(each is not None for each in given):
        raise ValueError("a run is resumed with the settings that it has; only --target may differ")
    command = parse(["--resume", options.resume], f"python -m {MODULE}")
    config, path = command.config, Path(options.resume)
    if config.method.step_kind != "recorded":
        raise ValueError(f"{path} was trained by {config.method.name}, and not on a dataset")
    if targets and not getattr(config.method, "conditioned", False):
        raise ValueError("--target is for dt, and this run has no target")
    _warn(config, targets)
    if (path / CURVE).exists():  # written last: the training is complete
        return _play(path, config, targets)
    return Run.resumed(command.name, config, resume).run() or _play(path, config, targets)


def _options(argv: Sequence[str]) -> tuple[Any, list[str]]:
    """The options of this program, and the other words."""
    from gridmem.cli_utils import Parser, whole

    words = list(argv)
    dataset = words.pop(0) if words and not words[0].startswith("-") else None
    parser = Parser(f"python -m {MODULE}", DESCRIPTION)
    parser.usage = "%(prog)s DATASET [OPTIONS]"
    about = "dt (Decision Transformer), bc (behavior cloning), bc10 (of the 10 %% of the episodes "
    about += "with the highest returns), td3bc (TD3+BC); default: dt"
    parser.add_argument("--algorithm", metavar="NAME", help=about)
    about = "target returns, with commas: auto or numbers; by default auto and eight numbers"
    parser.add_argument("--target", metavar="LIST", help=about)
    about = "ours, or published (the sizes of Chen et al. 2021); default: ours"
    parser.add_argument("--recipe", metavar="NAME", help=about)
    about = "gradient steps of the whole run"
    parser.add_argument("--gradient-steps", type=whole(1), metavar="N", help=about)
    parser.add_argument("--resume", metavar="RUN", help="go on with the run in this folder")
    flags = [word.replace("_", "-") if word.startswith("--gradient") else word for word in words]
    options, others = parser.parse_known_args(flags)
    options.dataset = dataset
    return options, others


def _targets(options: Any) -> list[str]:
    """The targets of the command line; none for the default ones."""
    from gridmem.baselines.offline.settings import check_target

    if options.target is not None and options.algorithm not in (None, "dt"):
        raise ValueError(f"--target is for dt, and the algorithm is {options.algorithm}")
    targets = [] if options.target is None else options.target.split(",")
    targets = [target.strip() for target in targets]
    for target in targets:
        check_target(target)
    return targets


def _command(options: Any, words: Sequence[str], targets: Sequence[str]) -> Any:
    """The command, with the settings of the run.

    Raises:
        ValueError: for invalid words.
    """
    from dataclasses import replace

    from gridmem.baselines.env_settings import EnvSettings
    from gridmem.baselines.offline.datasets import environment_of, open_dataset
    from gridmem.baselines.presets import offline_preset
    from gridmem.baselines.training.cli import parse
    from gridmem.envs.checks import unknown_name

    if options.dataset is None:
        raise ValueError(
            "name a dataset before all options; `minari list local` shows those that there are"
        )
    algorithm, recipe = options.algorithm or "dt", options.recipe or "ours"
    for what, name, known in (
        ("algorithm", algorithm, ALGORITHMS),
        ("recipe", recipe, RECIPES),
    ):
        if name not in known:
            raise ValueError(unknown_name(what, name, known, f"{what}s"))
    if algorithm == "td3bc" and recipe == "published":
        raise ValueError("--recipe published is for dt, bc and bc10")
    id, given = environment_of(open_dataset(options.dataset))
    env = EnvSettings(id, options=given)
    recommended = offline_preset(options.dataset, env, algorithm, recipe == "published")
    number = recommended.total_steps // _per_gradient_step(recommended)
    command = parse(words, f"python -m {MODULE} DATASET", recommended)
    for name in _ELSEWHERE:
        if getattr(command, name):
            raise ValueError(f"--{name.replace('_', '-')} is for gridmem.baselines.train")
    config: Any = command.config
    if targets and algorithm == "dt":
        config = replace(config, method=replace(config.method, target=targets[0]))
    if not any(word.replace("_", "-").startswith("--total-steps") for word in words):
        # The preset's number is of gradient steps, whatever the batch and the context.
        steps, every = options.gradient_steps or number, config.method.update_steps
        if steps % every and options.gradient_steps is not None:
            raise ValueError(
                f"--gradient-steps is {steps}; it must be a multiple of {every} (--update-steps)"
            )
        config = replace(config, total_steps=steps * _per_gradient_step(config))
    elif options.gradient_steps is not None:
        raise ValueError("--total-steps and --gradient-steps say the same; leave out one")
    return replace(command, config=config)


def _per_gradient_step(config: Any) -> int:
    """Recorded steps that a gradient step learns from."""
    return config.steps_per_update // config.method.update_steps


def _warn(config: Any, targets: Sequence[str]) -> None:
    """Says which targets are outside of the data's returns."""
    from gridmem.baselines.offline.datasets import described, load_play

    if targets:
        play = load_play(config.method.dataset, config.env.env_id, config.make_env())
        for target in targets:
            if warning := described(play, target).get("warning"):
                print(f"warning: {warning}")


def _play(folder: Any, config: Any, targets: Sequence[str]) -> int:
    """Plays with each target, and writes and prints the returns; returns the exit code."""
    if not config.eval_levels:
        return 0
    from gridmem.baselines.agent import load
    from gridmem.baselines.offline.datasets import load_play
    from gridmem.baselines.offline.target_returns import (
        draw,
        lines_of,
        on_test_levels,
        play_targets,
    )
    from gridmem.baselines.runs.run_dir import seed_dirs
    from gridmem.baselines.tables import aligned
    from gridmem.envs.env import Env

    play = load_play(config.method.dataset, config.env.env_id, config.make_env())
    for seed in seed_dirs(folder) or [folder]:
        agent = load(seed)
        found = play_targets(agent, targets or _spread(play), config.eval_levels, print)
        algorithm = getattr(config.method, "algorithm", config.method.name)
        title = f"{play.name}, {algorithm}, seed {agent.config.seed}"
        (seed / PICTURE).write_bytes(draw(title, found, play))
        print("\n".join(aligned(lines_of(found, play))))
        results = [_as_dict(each) for each in found]
        if isinstance(agent.env, Env):
            tested = on_test_levels(agent, max(found, key=lambda each: each.mean))
            what = f"target {tested.target}, {tested.player}" if tested.target else tested.player
            gain = tested.row.shown.get("memory_gain")
            gained = "" if gain is None else f", memory gain {gain:.2f}"
            scenario = tested.row.scenario
            print(
                f"highest: {what}; on {tested.row.num_levels:,} {scenario.kind} levels "
                f"{tested.mean:.3f} ± {tested.error:.3f}{gained}"
            )
            results.append(_as_dict(tested))
        (seed / RESULTS).write_text(json.dumps(results, indent=2), encoding="utf-8")
        print(f"wrote {seed / PICTURE}")
    print(
        "± is the standard error over levels; normalized: 0 for random actions, 100 for the expert"
    )
    return 0


def _spread(play: Any) -> list[str]:
    """`auto`, and eight numbers from the lowest to the highest return in the data."""
    from gridmem.baselines.offline.target_returns import has_whole_returns

    low, high = float(play.returns.min()), float(play.returns.max())
    numbers = [low + (high - low) * k / 7 for k in range(8)]
    if has_whole_returns(play):
        numbers = [round(number) for number in numbers]
    return ["auto", *(f"{number:g}" for number in dict.fromkeys(numbers))]


def _as_dict(each: Any) -> dict[str, Any]:
    return {
        "target": each.target,
        "player": each.player,
        "levels": each.row.scenario.kind,
        "num_levels": each.row.num_levels,
        "episode_return": each.mean,
        "return_standard_error": each.error,
        "memory_gain": each.row.metrics.get("memory_gain"),
    }


if __name__ == "__main__":
    sys.exit(main())
