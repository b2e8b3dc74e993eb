"""Evaluates trained agents: `python -m gridmem.baselines.evaluate RUN [RUN ...] [OPTIONS]`."""

import shlex
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from gridmem.baselines.evaluation.report import Row
    from gridmem.baselines.runs.run_dir import RunFolder

DESCRIPTION = """\
Plays the stored test levels and tells how well agents do and what their memory does for them.

Beside each agent, which draws its actions, stand: random actions, the same agent taking its most
probable action, the same with its memory wiped at each find, and the same on fresh levels, drawn
as in training. Results: a table, evaluation.json, evaluation.png, and some episodes to be watched
with `python -m gridmem.render.play --replay FILE`.
"""
MOST_LEVELS = 1000
ROOM_BYTES = 1 << 18  # that the results are sure to take, whatever was played


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: see `gridmem.cli_utils.run`."""
    from gridmem.cli_utils import run

    return run(lambda: _evaluate(sys.argv[1:] if argv is None else argv))


def parse(argv: Sequence[str]) -> "Namespace":
    """The options that a command line gives.

    Raises:
        ValueError: for an unknown option or a value that cannot be.
        SystemExit: after --help.
    """
    from gridmem.cli_utils import Parser, whole

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
    from gridmem.cli_utils import require

    options = parse(argv)
    require("an evaluation", "flax", "optax", "matplotlib", "safetensors")
    from gridmem.baselines import load
    from gridmem.baselines.evaluation.evaluator import examine
    from gridmem.baselines.evaluation.plot import draw_evaluation
    from gridmem.baselines.evaluation.table import table
    from gridmem.baselines.runs.names import named
    from gridmem.baselines.runs.run_dir import RunFolder

    agents = {name: load(run) for name, run in named(options.runs).items()}
    path = _out(options)
    folder = RunFolder(path)
    report = examine(
        agents, options.levels, options.seed, _tell, ids=options.on, crowds=options.agents
    )
    written = [
        folder.write_json("evaluation.json", report.to_dict()),
        folder.write_bytes("evaluation.png", draw_evaluation(report)),
    ]
    replays = [
        replay
        for name in agents
        for replay in _save_replays(report.at_home(name), options.replays, folder)
    ]
    print(table(report))
    for problem in folder.problems:
        print(f"warning: {problem}")
    kept = [each for each in [*written, *replays] if each is not None]
    if any(each.is_relative_to(path) for each in kept):
        print(f"the {'other ' if folder.problems else ''}results are in {path}")
    if watchable := [each for each in replays if each is not None]:
        replay = shlex.quote(str(watchable[0]))
        print(f"watch an episode: python -m gridmem.render.play --replay {replay}")
    return 0 if len(kept) == len(written) + len(replays) else 1


def _out(options: "Namespace") -> Path:
    """The folder for the results, which is there and takes them."""
    (run, *others) = options.runs
    own = run if Path(run).is_dir() and not others else "."
    path = Path(options.out or own)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot make the folder {path} ({error.strerror})") from None
    try:
        with tempfile.TemporaryFile(dir=path) as file:  # gone again at once
            file.write(bytes(ROOM_BYTES))
    except OSError as error:
        raise ValueError(
            f"cannot write the results into {path} ({error.strerror}); name another folder with "
            "--out"
        ) from None
    return path


def _save_replays(row: "Row", number: int, folder: "RunFolder") -> "list[Path | None]":
    """Writes episodes into the folder `replays`, the best first; returns where each is, if so."""
    prefix = row.agent.replace("/", "-")
    return [
        folder.keep(f"replays/{prefix}-{name}.npz", partial(_save_replay, row, index))
        for name, index in row.examples(number).items()
    ]


def _save_replay(row: "Row", index: int, path: Path) -> None:
    import jax
    import numpy as np

    from gridmem.envs.analysis.replay import save_replay

    level = jax.tree.map(lambda leaf: np.asarray(leaf[index]), row.course.levels)
    visits = np.asarray(row.episodes.visits[index])
    title = f"{row.course.id}, {row.who}, {row.course.kind} level {index}"
    path.parent.mkdir(exist_ok=True)
    try:
        save_replay(path, row.course.env, level, row.actions[index], visits, title)
    except ValueError as error:  # the only one there can be: the disk refused
        raise OSError(str(error)) from None


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
