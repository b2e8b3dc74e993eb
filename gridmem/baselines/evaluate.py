"""Evaluates trained agents: `python -m gridmem.baselines.evaluate RUN [RUN ...] [OPTIONS]`."""

import shlex
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from argparse import Namespace

    from gridmem.baselines.agent import Agent
    from gridmem.baselines.evaluation.report import Row
    from gridmem.baselines.runs.run_dir import RunDir
    from gridmem.envs.analysis.metrics import EpisodeMetrics
    from gridmem.envs.env import Env

DESCRIPTION = """\
Evaluates agents on the stored test levels: return, score and memory gain.

Each agent samples its actions. Its controls are random actions, its most probable actions, its
memory wiped at each find, and fresh levels, drawn as in training. Results: a table,
evaluation.json, evaluation.png, and some episodes for
`python -m gridmem.render.play --replay FILE`.
"""
MOST_LEVELS = 1000
FREE_BYTES = 1 << 18  # the results are never smaller


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: see `gridmem.cli_utils.run`."""
    from gridmem.cli_utils import import_modules, run

    return run(lambda: _evaluate(import_modules(sys.argv[1:] if argv is None else argv)))


def parse(argv: Sequence[str]) -> "Namespace":
    """The options that a command line gives.

    Raises:
        ValueError: for an unknown option or an invalid value.
        SystemExit: after --help.
    """
    from gridmem.cli_utils import Parser, whole

    parser = Parser("python -m gridmem.baselines.evaluate", DESCRIPTION)
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="a run folder, a file of weights, a released name"
    )
    parser.add_argument(
        "--levels",
        type=whole(2),
        metavar="N",
        help="the first N test levels; default all 1,000, or 256 where episodes are long",
    )
    parser.add_argument(
        "--on",
        nargs="+",
        default=[],
        metavar="ID",
        help="further environments, with the agent's view",
    )
    parser.add_argument(
        "--agents",
        nargs="+",
        type=whole(1),
        default=[],
        metavar="N",
        help="further numbers of agents in a cave",
    )
    parser.add_argument("--seed", type=whole(0), default=0, help="of the random draws; default 0")
    parser.add_argument(
        "--replays",
        type=whole(0),
        default=3,
        metavar="N",
        help="episodes to save, from best to worst; default 3",
    )
    parser.add_argument(
        "--video",
        metavar="FILE",
        help="an mp4 or gif of an agent's first level, drawn by the environment's own renderer",
    )
    parser.add_argument(
        "--out", metavar="FOLDER", help="for the results; default the run's, of a single run"
    )
    options = parser.read(argv, "name all runs before the first option")
    if options.levels is not None and options.levels > MOST_LEVELS:
        raise ValueError(f"--levels is {options.levels}; there are {MOST_LEVELS:,} test levels")
    if options.seed >= 2**32:
        raise ValueError(f"--seed is {options.seed}; it must be below 2**32")
    return options


def _evaluate(argv: Sequence[str]) -> int:
    from gridmem.cli_utils import cache_programs, require
    from gridmem.envs.batch.mixture import compiles_slowly

    options = parse(argv)
    require("an evaluation", "flax", "optax", "matplotlib", "safetensors")
    from gridmem.baselines import load
    from gridmem.baselines.evaluation.evaluator import evaluate_agents
    from gridmem.baselines.evaluation.plot import draw_evaluation
    from gridmem.baselines.evaluation.report import table
    from gridmem.baselines.runs.history import named
    from gridmem.baselines.runs.run_dir import EVALUATION, RunDir
    from gridmem.envs.env import Env

    agents: dict[str, Agent] = {}
    for name, run in named(options.runs).items():
        members = load(run).members
        several = len(members) > 1
        agents |= {f"{name}, {id}" if several else name: each for id, each in members.items()}
    if any(compiles_slowly(agent.env) for agent in agents.values()):
        cache_programs()
    path = _out(options)
    run_dir = RunDir(path)
    if options.video is not None:
        _write_video(agents, Path(options.video), options.seed)
    report = evaluate_agents(
        agents, options.levels, options.seed, _progress, ids=options.on, crowds=options.agents
    )
    written = [
        run_dir.write_json(EVALUATION, report.to_dict()),
        run_dir.write_bytes("evaluation.png", draw_evaluation(report)),
    ]
    own_rows = [report.own_row(name) for name in agents]
    replays = [
        replay
        for row in own_rows
        if isinstance(row.scenario.env, Env)
        for replay in _save_replays(row, options.replays, run_dir)
    ]
    print(table(report))
    for problem in run_dir.problems:
        print(f"warning: {problem}")
    kept = [each for each in [*written, *replays] if each is not None]
    if any(each.is_relative_to(path) for each in kept):
        print(f"the {'other ' if run_dir.problems else ''}results are in {path}")
    if watchable := [each for each in replays if each is not None]:
        replay = shlex.quote(str(watchable[0]))
        print(f"watch an episode: python -m gridmem.render.play --replay {replay}")
    return 0 if len(kept) == len(written) + len(replays) else 1


def _write_video(agents: "dict[str, Agent]", path: Path, seed: int) -> None:
    """Writes the first held-out level of an agent."""
    import jax

    from gridmem.baselines.evaluation.rollouts import Player, frames
    from gridmem.baselines.evaluation.scenarios import own_scenario
    from gridmem.envs.env import Env
    from gridmem.render.video import write_video

    shown = {name: each for name, each in agents.items() if hasattr(each.env, "frame")}
    (name, agent), *others = (shown or agents).items()
    if others:
        raise ValueError(
            f"--video shows one agent, and {len(shown or agents)} could be shown: "
            f"{'; '.join(shown or agents)}"
        )
    if isinstance(agent.env, Env):
        raise ValueError(
            "--video is for environments with a renderer of their own; for GridMem's, evaluate "
            "and then: python -m gridmem.render.play --replay FILE --video FILE"
        )
    if not hasattr(agent.env, "frame"):
        raise ValueError(f"--video: {agent.env_id} has no renderer")
    _progress(f"video of {name}")
    level = jax.tree.map(lambda leaf: leaf[:1], own_scenario(agent, 1).levels)
    player = Player(agent.method.acting)
    try:
        write_video(path, frames(agent.env, player, agent.params, level, jax.random.key(seed)))
    except OSError as error:
        raise ValueError(f"the video {path} cannot be written ({error})") from None


def _out(options: "Namespace") -> Path:
    """The folder for the results, made if it does not exist; ValueError if it cannot be written."""
    (run, *others) = options.runs
    own = run if Path(run).is_dir() and not others else "."
    path = Path(options.out or own)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot make the folder {path} ({error.strerror})") from None
    try:
        with tempfile.TemporaryFile(dir=path) as file:  # deleted at once
            file.write(bytes(FREE_BYTES))
    except OSError as error:
        raise ValueError(
            f"cannot write the results into {path} ({error.strerror}); name another folder with "
            "--out"
        ) from None
    return path


def _save_replays(row: "Row", number: int, run_dir: "RunDir") -> "list[Path | None]":
    """Writes episodes into the folder `replays`, the best first; returns their paths."""
    prefix = row.agent.replace("/", "-").replace(", ", "-")
    return [
        run_dir.keep(f"replays/{prefix}-{name}.npz", partial(_save_replay, row, index))
        for name, index in row.examples(number).items()
    ]


def _save_replay(row: "Row", index: int, path: Path) -> None:
    import jax
    import numpy as np

    from gridmem.envs.analysis.replay import save_replay

    level = jax.tree.map(lambda leaf: np.asarray(leaf[index]), row.scenario.levels)
    visits = np.asarray(cast("EpisodeMetrics", row.episodes).visits[index])
    actions = cast("np.ndarray", row.actions)[index]
    title = f"{row.scenario.id}, {row.label}, {row.scenario.kind} level {index}"
    path.parent.mkdir(exist_ok=True)
    try:
        save_replay(path, cast("Env", row.scenario.env), level, actions, visits, title)
    except ValueError as error:  # its only cause here is the disk
        raise OSError(str(error)) from None


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
