"""Learns from a dataset: `python -m gridmem.baselines.decision_transformer DATASET`."""

import json
import sys
from collections.abc import Sequence
from typing import Any

MODULE = "gridmem.baselines.decision_transformer"
ALGORITHMS = "dt", "bc", "bc10", "td3bc"
RECIPES = "ours", "published"
PICTURE, RESULTS = "asked_returns.png", "asked_returns.json"
DESCRIPTION = f"""\
Trains an agent on recorded play, a dataset of Minari, without playing; then plays with each target
and both decodings, and draws what was reached. All settings of the method are options, too, as
--mixer, --context, --learning-rate, --seed and --run-dir:
`python -m {MODULE} DATASET --help-all` lists them. See docs/offline.md.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: see `gridmem.baselines.train.main`."""
    from gridmem.cli_utils import run

    return run(lambda: _learn(sys.argv[1:] if argv is None else argv))


def _learn(argv: Sequence[str]) -> int:
    from gridmem.cli_utils import TRAINING, import_modules, python_command, require

    require("training", *TRAINING)
    require("data", "minari", "h5py")
    options, words = _options(import_modules(argv))
    from dataclasses import replace
    from pathlib import Path

    from gridmem.baselines.training.cli import parse
    from gridmem.baselines.training.loop import Run
    from gridmem.baselines.training.trackers import check_trackers

    targets = _targets(options.target)
    program, resume = f"python -m {MODULE}", f"{python_command()} -m {MODULE} --resume"
    if options.resume is not None:
        if options.dataset or words:
            raise ValueError("a run is resumed with the settings that it has")
        command = parse(["--resume", options.resume], program)
        run = Run.resumed(command.name, command.config, resume)
        return _finish(run, targets)
    if options.dataset is None:
        raise ValueError("name a dataset; `minari list local` shows those that there are")
    config = _config(options)
    config = parse(words, program, config).config
    if len(targets) == 1 and options.algorithm == "dt":
        config = replace(config, method=replace(config.method, target=targets[0]))
    if options.gradient_steps is not None:
        steps = options.gradient_steps * _per_gradient_step(config)
        config = replace(config, total_steps=steps)
    check_trackers(config)
    name = f"{options.algorithm}-{Path(options.dataset).name}"
    return _finish(Run.new(name, config, resume, ""), targets)


def _per_gradient_step(config: Any) -> int:
    """Recorded steps that a gradient step learns from."""
    number = getattr(config.method, "gradient_steps", 0) or config.method.update_steps
    return config.steps_per_update // number


def _options(argv: Sequence[str]) -> tuple[Any, list[str]]:
    """The options of this program, and the other words."""
    from gridmem.cli_utils import Parser, whole

    parser = Parser(f"python -m {MODULE}", DESCRIPTION)
    parser.usage = "%(prog)s DATASET [OPTIONS]"
    parser.add_argument("dataset", metavar="DATASET", nargs="?", help="Minari's id")
    about = "dt (Decision Transformer), bc (cloning), bc10 (of the best tenth), td3bc; default: dt"
    parser.add_argument("--algorithm", metavar="NAME", default="dt", help=about)
    about = "returns to ask for, with commas: auto or numbers; by default auto and eight numbers"
    parser.add_argument("--target", metavar="LIST", help=about)
    about = "ours, or published (Chen et al. 2021); default: ours"
    parser.add_argument("--recipe", metavar="NAME", default="ours", help=about)
    about = "gradient steps of the run"
    parser.add_argument("--gradient-steps", type=whole(1), metavar="N", help=about)
    parser.add_argument("--resume", metavar="RUN", help="go on with the run in this folder")
    return parser.parse_known_args(list(argv))


def _targets(text: str | None) -> list[str]:
    """The targets of the command line; none for the default ones."""
    from gridmem.baselines.offline.settings import check_target

    targets = [] if text is None else [each.strip() for each in text.split(",")]
    for target in targets:
        check_target(target)
    return targets


def _config(options: Any) -> Any:
    """The settings before the command line changes them.

    Raises:
        ValueError: for an unknown algorithm or recipe, or a dataset without an environment.
    """
    from gridmem.baselines.presets import offline_preset
    from gridmem.envs.checks import unknown_name

    for what, name, known in (
        ("algorithm", options.algorithm, ALGORITHMS),
        ("recipe", options.recipe, RECIPES),
    ):
        if name not in known:
            raise ValueError(unknown_name(what, name, known, f"{what}s"))
    env = _environment(options.dataset)
    published = options.recipe == "published"
    return offline_preset(options.dataset, env, options.algorithm, published)


def _environment(name: str) -> Any:
    """The `EnvSettings` of a dataset: those that `collect` wrote, else by Gymnasium's id."""
    from gridmem.baselines.env_settings import EnvSettings
    from gridmem.baselines.offline.datasets import open_dataset
    from gridmem.envs.registry import make_environment

    dataset = open_dataset(name)
    if written := dataset.storage.metadata.get("gridmem"):
        options = json.loads(written)
        return EnvSettings(options.pop("id"), options=options)
    spec = dataset.env_spec
    if spec is None:
        raise ValueError(f"the dataset {name} does not say of which environment it is")
    options = {key: value for key, value in spec.kwargs.items() if key != "observation"}
    options.pop("env_id", None)
    settings = EnvSettings(spec.id, options=options)
    make_environment(settings.env_id, **settings.options)
    return settings


def _finish(run: Any, targets: Sequence[str]) -> int:
    """Trains, and then plays with each target; returns the exit code."""
    if code := run.run():
        return code
    from gridmem.baselines.agent import load
    from gridmem.baselines.offline import asked_returns as asked
    from gridmem.baselines.offline.datasets import load_play
    from gridmem.baselines.runs.run_dir import seed_dirs
    from gridmem.baselines.tables import aligned
    from gridmem.envs.env import Env

    dataset = run.config.method.dataset
    for folder in seed_dirs(run.run_dir.path) or [run.run_dir.path]:
        agent = load(folder)
        play = load_play(dataset, agent.env)
        if not agent.config.eval_levels:
            continue
        found = asked.ask(agent, targets or _spread(play), agent.config.eval_levels, print)
        title = f"{play.name}, seed {agent.config.seed}"
        (folder / PICTURE).write_bytes(asked.draw(title, found, play))
        print("\n".join(aligned(asked.lines_of(found, play))))
        results = [_as_dict(each) for each in found]
        if isinstance(agent.env, Env):
            best = max(found, key=lambda each: each.mean)
            tested = asked.on_test_levels(agent, best)
            what = f"asked for {best.target}, {best.player}" if best.target else best.player
            print(
                f"best of these: {what}; on {tested.row.num_levels} test levels "
                f"{tested.mean:.3f} ± {tested.error:.3f}, memory gain "
                f"{tested.row.metrics.get('memory_gain') or float('nan'):.2f}"
            )
            results.append({**_as_dict(tested), "levels": "test"})
        (folder / RESULTS).write_text(json.dumps(results, indent=2), encoding="utf-8")
        print(f"wrote {folder / PICTURE}")
    return 0


def _spread(play: Any) -> list[str]:
    """`auto`, and numbers from the lowest to the highest return in the data."""
    low, high = float(play.returns.min()), float(play.returns.max())
    numbers = [low + (high - low) * k / 7 for k in range(8)]
    return ["auto", *(f"{number:.4g}" for number in dict.fromkeys(numbers))]


def _as_dict(each: Any) -> dict[str, Any]:
    return {
        "target": each.target,
        "player": each.player,
        "levels": "held out",
        "num_levels": each.row.num_levels,
        "episode_return": each.mean,
        "return_standard_error": each.error,
        "memory_gain": each.row.metrics.get("memory_gain"),
    }


if __name__ == "__main__":
    sys.exit(main())
