"""Evaluates trained agents: `python -m gridmem.baselines.evaluate RUN [RUN ...] [OPTIONS]`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from gridmem.baselines.report import Row

DESCRIPTION = """\
Plays the stored test levels and tells how well agents do and what their memory does for them.

Beside each agent, which draws its actions, stand: random actions, the same agent taking its most
probable action, the same with its memory wiped at each find, and the same on fresh levels, drawn
as in training. Results: a table, evaluation.json, evaluation.png, and some episodes to be watched
with `python -m gridmem.render.play --replay FILE`.
"""
MOST_LEVELS = 1000


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: see `gridmem.command_line.run`."""
    from gridmem.command_line import run

    return run(lambda: _evaluate(sys.argv[1:] if argv is None else argv))


def parse(argv: Sequence[str]) -> "Namespace":
    """The options that a command line gives.

    Raises:
        ValueError: for an unknown option or a value that cannot be.
        SystemExit: after --help.
    """
    from gridmem.command_line import Parser, whole

    parser = Parser("python -m gridmem.baselines.evaluate", DESCRIPTION)
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="a run folder, a file of weights, a released name"
    )
    parser.add_argument(
        "--levels", type=whole(2), default=MOST_LEVELS, metavar="N", help="the first N; all 1,000"
    )
    parser.add_argument(
        "--on",
        nargs="+",
        default=[],
        metavar="ID",
        help="play these too, with the agent's own view",
    )
    parser.add_argument(
        "--agents", nargs="+", type=whole(1), default=[], metavar="N", help="and with N in a cave"
    )
    parser.add_argument("--seed", type=whole(0), default=0, help="of what is drawn in play; 0")
    parser.add_argument(
        "--replays",
        type=whole(0),
        default=3,
        metavar="N",
        help="episodes to keep, best to worst; 3",
    )
    parser.add_argument(
        "--out", metavar="FOLDER", help="for the results; the run's, if there is one run"
    )
    options = parser.read(argv, "name all runs before the first option")
    if options.levels > MOST_LEVELS:
        raise ValueError(f"--levels is {options.levels}; there are {MOST_LEVELS:,} test levels")
    if options.seed >= 2**32:
        raise ValueError(f"--seed is {options.seed}; it must be below 2**32")
    return options


def _evaluate(argv: Sequence[str]) -> int:
    from gridmem.command_line import require

    options = parse(argv)
    require("an evaluation", "flax", "optax", "matplotlib", "safetensors")
    from gridmem.baselines import load
    from gridmem.baselines.evaluation_picture import draw_evaluation
    from gridmem.baselines.evaluation_table import table
    from gridmem.baselines.examination import examine
    from gridmem.baselines.run_folder import RunFolder
    from gridmem.baselines.run_names import named

    agents = {name: load(run) for name, run in named(options.runs).items()}
    path = _out(options)
    folder = RunFolder(path)
    report = examine(
        agents, options.levels, options.seed, _tell, ids=options.on, crowds=options.agents
    )
    folder.write_json("evaluation.json", report.to_dict())
    print(table(report))
    folder.write_bytes("evaluation.png", draw_evaluation(report))
    for problem in folder.problems:
        print(f"warning: {problem}")
    print(f"the results are in {path}")
    if options.replays:
        files = [_save_replays(report.at_home(name), options.replays, path) for name in agents]
        print(f"watch an episode: python -m gridmem.render.play --replay {files[0]}")
    return 0


def _out(options: "Namespace") -> Path:
    """The folder for the results, which is there."""
    (run, *others) = options.runs
    own = run if Path(run).is_dir() and not others else "."
    path = Path(options.out or own)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot make the folder {path} ({error.strerror})") from None
    return path


def _save_replays(row: "Row", number: int, path: Path) -> Path:
    """Writes episodes into the folder `replays`, the best first; returns where that is."""
    import jax
    import numpy as np

    from gridmem.render.replay import save_replay

    (path / "replays").mkdir(exist_ok=True)
    prefix, files = row.agent.replace("/", "-"), []
    levels, visits = jax.tree.map(np.asarray, (row.course.levels, row.episodes.visits))
    for name, index in row.examples(number).items():
        level = jax.tree.map(lambda leaf, i=index: leaf[i], levels)
        title = f"{row.course.id}, {row.who}, {row.course.kind} level {index}"
        files.append(path / "replays" / f"{prefix}-{name}.npz")
        save_replay(files[-1], row.course.env, level, row.actions[index], visits[index], title)
    return files[0]


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
