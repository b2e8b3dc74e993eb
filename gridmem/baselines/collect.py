"""Records datasets of an environment: `python -m gridmem.baselines.collect ID [DATASET ...]`."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

MODULE = "gridmem.baselines.collect"
DESCRIPTION = """\
Plays an environment and writes the episodes as datasets in Minari's format, with a page each. Ids
of GridMem: random, reactive, medium (an agent in training with half of the expert's score),
medium-replay (episodes of an agent from the start to the end of its training), expert (the
released agent), oracle (shortest paths), mixed (a third each of random, medium and expert).
Pendulum-v1: random, medium-replay (all that a SAC agent saw while it learned), medium (that agent).
See docs/offline.md.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: see `gridmem.baselines.train.main`."""
    from gridmem.cli_utils import run

    return run(lambda: _collect(sys.argv[1:] if argv is None else argv))


def _collect(argv: Sequence[str]) -> int:
    from gridmem.cli_utils import TRAINING, import_modules, require

    require("training", *TRAINING)
    require("data", "minari", "h5py")
    options = _options(import_modules(argv))
    from gridmem.baselines.env_settings import EnvSettings
    from gridmem.envs.env import Env
    from gridmem.envs.registry import make_environment

    settings = EnvSettings(options.id, options=options.options)
    env = make_environment(settings.env_id, **settings.options)
    collection = _GridMem if isinstance(env, Env) else _Others
    return collection(env, settings, options).run()


def _options(argv: Sequence[str]) -> Any:
    from gridmem.baselines.training.cli import option_path
    from gridmem.cli_utils import Parser, whole

    parser = Parser(f"python -m {MODULE}", DESCRIPTION)
    parser.usage = "%(prog)s ID [DATASET ...] [OPTIONS]"
    parser.add_argument("id", metavar="ID", help="of the environment")
    parser.add_argument("datasets", metavar="DATASET", nargs="*", help="which; all if not given")
    parser.add_argument(
        "--episodes", type=whole(1), metavar="N", help="of each dataset; else see docs/offline.md"
    )
    parser.add_argument(
        "--run", metavar="RUN", help="folder of a trained agent, in place of the released one"
    )
    parser.add_argument(
        "--prefix", default="gridmem", metavar="NAME", help="datasets are PREFIX/ID/DATASET-v0"
    )
    parser.add_argument(
        "--set",
        type=option_path,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of gridmem.make; repeatable",
    )
    options = parser.parse_args(list(argv))
    options.options = {".".join(path): value for path, value in options.set}
    return options


class _Collection:
    """The datasets of an environment."""

    known: tuple[str, ...] = ()

    def __init__(self, env: Any, settings: Any, options: Any) -> None:
        from gridmem.envs.checks import unknown_name

        self.env, self.settings, self.options = env, settings, options
        if env.num_agents > 1:
            raise ValueError(f"num_agents is {env.num_agents}; datasets are of one agent")
        for name in options.datasets:
            if name not in self.known:
                raise ValueError(unknown_name("dataset", name, self.known, "datasets"))
        self.names = list(options.datasets or self.default)

    @property
    def default(self) -> Sequence[str]:
        """Those that are made if none is named."""
        return self.known

    def run(self) -> int:
        """Makes the datasets; returns the exit code."""
        raise NotImplementedError

    def num_episodes(self, num_steps: int, at_least: int) -> int:
        """As asked for, or enough for so many steps."""
        return self.options.episodes or max(at_least, -(-num_steps // self.env.max_steps))

    def write(self, name: str, policy: str, episodes: Iterator[Any], scores: Any) -> None:
        """Writes a dataset and says so."""
        from gridmem.baselines.offline.recording import FIRST_SEED, write
        from gridmem.cli_utils import python_command

        id = f"{self.options.prefix}/{self.settings.env_id}/{name}-v0"
        words = [self.settings.env_id, name]
        for flag in ("episodes", "run"):
            if value := getattr(self.options, flag):
                words += [f"--{flag}", str(value)]
        words += [word for path, value in self.options.set for word in _set(path, value)]
        about = {
            "policy": policy,
            "command": f"{python_command()} -m {MODULE} {' '.join(words)}",
            "seed": f"{FIRST_SEED} of the first episode",
        }
        page = write(
            id, self.env, self.settings.env_id, self.settings.options, episodes, about,
            (scores.random, scores.expert),
        )  # fmt: skip
        print(f"{id}: {page}")


class _GridMem(_Collection):
    """Of an id of GridMem."""

    known = ("random", "reactive", "medium", "medium-replay", "expert", "oracle", "mixed")

    @property
    def default(self) -> Sequence[str]:
        """All where there is an agent; else what needs none."""
        from gridmem.baselines.agent import released

        has_agent = self.options.run is not None or self.settings.env_id in released()
        return self.known if has_agent else ("random", "reactive", "oracle")

    def run(self) -> int:
        from gridmem.baselines.agent import load
        from gridmem.baselines.evaluation.rollouts import Player
        from gridmem.baselines.offline import sources

        env, trains = self.env, {"medium", "medium-replay", "mixed"} & set(self.names)
        number, agent = self.num_episodes(100_000, 1000), None
        if self.options.run is not None or trains or "expert" in self.names:
            agent = load(self.options.run or self.settings.env_id)
            if agent.env != env:
                raise ValueError(
                    f"the agent was trained in another environment ({agent.env_id} "
                    f"{agent.config.env.options}); record with these options"
                )
        random = sources.mean_return(env, Player(), ())
        oracle = sources.scripted(env, "oracle")
        best = (
            sources.mean_return(env, Player(agent.method.acting), agent.params)
            if agent is not None
            else _mean_of(sources.record(env, oracle, sources.SCORED_LEVELS, 0))
        )
        scores, snapshots, half = sources.Reference(random, best), [], None
        if trains:
            assert agent is not None
            config = agent.config
            print(f"an agent is trained first, {config.total_steps:,} steps: {', '.join(trains)}")
            all_of_them = sources.training(config, print)
            if "medium-replay" in self.names:
                snapshots = list(all_of_them)
                all_of_them = iter(snapshots)
            if trains - {"medium-replay"}:
                half = sources.medium(agent, all_of_them, scores)
        for name in self.names:
            if name in sources.NEED_NO_AGENT:
                source = sources.scripted(env, name)
                self.write(name, source.about, sources.record(env, source, number), scores)
                continue
            assert agent is not None
            expert = sources.of_agent(agent, f"trained agent {self.options.run or agent.env_id}")
            if name == "expert":
                self.write(name, expert.about, sources.record(env, expert, number), scores)
            elif name == "medium-replay":
                what = f"an agent at {len(snapshots)} equally distant times of its training"
                self.write(name, what, sources.over_training(agent, snapshots, number), scores)
            else:
                assert half is not None
                snapshot, value = half
                what = f"an agent after {snapshot.steps:,} steps of training (return {value:.3f})"
                middle = sources.of_agent(agent, what, snapshot.params)
                if name == "medium":
                    self.write(name, what, sources.record(env, middle, number), scores)
                    continue
                three = sources.scripted(env, "random"), middle, expert
                third = -(-number // 3)
                parts = [
                    sources.record(env, each, third, sources.FIRST_SEED + k * third)
                    for k, each in enumerate(three)
                ]
                what = f"in turn: {'; '.join(each.about for each in three)}"
                self.write(name, what, sources.in_turn(parts), scores)
        return 0


class _Others(_Collection):
    """Of an environment with continuous actions."""

    known = ("random", "medium-replay", "medium")

    def run(self) -> int:
        from dataclasses import replace

        from gridmem.baselines.agent import load
        from gridmem.baselines.evaluation.rollouts import Player
        from gridmem.baselines.offline import sources
        from gridmem.baselines.presets import preset
        from gridmem.envs.environment import Box, is_on_host

        env = self.env
        if not isinstance(env.actions, Box) or is_on_host(env):
            raise ValueError(
                f"datasets are of GridMem's ids and of Pendulum-v1, and not of "
                f"{self.settings.env_id}; record others with minari.DataCollector"
            )
        random, path, seen = sources.mean_return(env, Player(), ()), self.options.run, []
        if path is None:
            config = preset("sac")
            config = replace(
                config,
                env=self.settings,
                method=replace(config.method, update_steps=env.max_steps),
            )
            print(f"an agent of SAC is trained first, {config.total_steps:,} steps")
            seen, agent = sources.watched_run(config, print)
        else:
            agent = load(path)
            if "medium-replay" in self.names:
                raise ValueError(
                    "medium-replay needs the agent's whole training; leave out --run, or name "
                    "the other datasets"
                )
        best = sources.mean_return(env, Player(agent.method.acting), agent.params)
        scores = sources.Reference(random, best)
        for name in self.names:
            if name == "medium-replay":
                what = f"all that an agent of SAC saw in its {agent.config.total_steps:,} steps"
                self.write(name, what, iter(seen), scores)
                continue
            steps = 1_000_000 if name == "random" else 200_000
            source = sources.scripted(env, name) if name == "random" else (
                sources.of_agent(agent, f"an agent of SAC (mean return {best:.1f})")
            )  # fmt: skip
            episodes = sources.record(env, source, self.num_episodes(steps, 1))
            self.write(name, source.about, episodes, scores)
        return 0


def _mean_of(episodes: Iterator[Any]) -> float:
    returns = [float(episode.rewards.sum()) for episode in episodes]
    return sum(returns) / len(returns)


def _set(path: Sequence[str], value: Any) -> list[str]:
    return ["--set", f"{'.'.join(path)}={value}"]


if __name__ == "__main__":
    sys.exit(main())
