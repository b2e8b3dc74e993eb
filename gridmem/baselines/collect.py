"""Records datasets of an environment: `python -m gridmem.baselines.collect ID [DATASET ...]`."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

MODULE = "gridmem.baselines.collect"
PREFIX = "gridmem"
NEED_TRAINING = "medium", "medium-replay", "mixed"
RECIPES = {
    "GridMem-9x9-v0": (512, 0.97, 10_000_000),
    "GridMem-13x13-v0": (256, 0.97, 16_000_000),
    "GridMem-20x20-v0": (128, 0.98, 24_000_000),
}
"""Id -> environments, gamma and steps of the agent in training, of the size of quickstart's."""
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
    require("a dataset", "minari", "h5py", extra="data")
    options = _options(import_modules(argv))
    from gridmem.baselines.env_settings import EnvSettings
    from gridmem.envs.env import Env
    from gridmem.envs.registry import make_environment

    settings = EnvSettings(options.id, options=options.options)
    env = make_environment(settings.env_id, **settings.options)
    collection = _GridMem if isinstance(env, Env) else _Others
    return collection(env, settings, options).run()


def _options(argv: Sequence[str]) -> Any:
    from gridmem.baselines.training.cli import option_path, with_option
    from gridmem.cli_utils import Parser, whole
    from gridmem.envs.batch.mixture import SEPARATOR

    parser = Parser(f"python -m {MODULE}", DESCRIPTION)
    parser.usage = "%(prog)s ID [DATASET ...] [OPTIONS]"
    parser.add_argument("id", metavar="ID", help="of the environment")
    parser.add_argument(
        "datasets",
        metavar="DATASET",
        nargs="*",
        help="which; all that can be made if not given",
    )
    parser.add_argument(
        "--episodes", type=whole(1), metavar="N", help="of each dataset; else see docs/offline.md"
    )
    parser.add_argument(
        "--run", metavar="RUN", help="folder of a trained agent, in place of the released one"
    )
    parser.add_argument(
        "--prefix", default=PREFIX, metavar="NAME", help="datasets are PREFIX/ID/DATASET-v0"
    )
    parser.add_argument(
        "--set",
        type=option_path,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of gridmem.make; repeatable",
    )
    options, others = parser.parse_known_args(list(argv))
    if others:
        raise ValueError(f"there is no option {others[0]!r}; names of datasets come before options")
    options.options = {}
    for path, value in options.set:
        options.options = with_option(options.options, path, value)
    if options.set and options.prefix == PREFIX:
        raise ValueError(
            f"with --set give another --prefix than {PREFIX}, as the names of datasets do not say "
            "options"
        )
    if SEPARATOR in options.id:
        raise ValueError(f"a dataset is of one environment, and {options.id} is a mixture")
    return options


class _Collection:
    """The datasets of an environment."""

    known: tuple[str, ...] = ()

    def __init__(self, env: Any, settings: Any, options: Any) -> None:
        from gridmem.baselines.offline.recording import check_name
        from gridmem.envs.checks import unknown_name

        self.env, self.settings, self.options = env, settings, options
        if env.num_agents > 1:
            raise ValueError(f"num_agents is {env.num_agents}; datasets are of one agent")
        for name in options.datasets:
            if name not in self.known:
                raise ValueError(unknown_name("dataset", name, self.known, "datasets"))
        self.names = list(options.datasets or self.default)
        for name in self.names:
            check_name(self._id(name))

    def _id(self, name: str) -> str:
        return f"{self.options.prefix}/{self.settings.env_id}/{name}-v0"

    @property
    def default(self) -> Sequence[str]:
        """Those that are made if none is named."""
        return self.known

    def run(self) -> int:
        """Makes the datasets; returns the exit code."""
        raise NotImplementedError

    def agent(self, name: str) -> Any:
        """A trained agent.

        Raises:
            ValueError: if it is none, or was trained in another environment.
        """
        from gridmem.baselines.agent import load

        agent = load(name)
        if agent.env != self.env:
            trained = f"{agent.env_id}, {agent.env.about}"
            raise ValueError(
                f"the agent {name} was trained in another environment ({trained}) than is to be "
                f"recorded ({self.settings.env_id}, {self.env.about})"
            )
        return agent

    def num_episodes(self, num_steps: int, at_least: int) -> int:
        """As asked for, or enough for so many steps."""
        return self.options.episodes or max(at_least, -(-num_steps // self.env.max_steps))

    def write(
        self, name: str, policy: str, episodes: Iterator[Any], scores: Any, best: str
    ) -> None:
        """Writes a dataset and says so.

        Args:
            name: of the dataset.
            policy: in words.
            episodes: what was played.
            scores: a `Reference`.
            best: whose the expert's score is.
        """
        import json
        import shlex

        from gridmem.baselines.offline.recording import FIRST_SEED, write
        from gridmem.cli_utils import python_command
        from gridmem.envs.env import Env

        words = ["-m", MODULE, self.settings.env_id, name]
        for flag in ("episodes", "run"):
            if value := getattr(self.options, flag):
                words += [f"--{flag}", str(value)]
        if self.options.prefix != PREFIX:
            words += ["--prefix", self.options.prefix]
        for path, value in self.options.set:
            words += ["--set", f"{'.'.join(path)}={json.dumps(value)}"]
        about = {
            "policy": policy,
            "command": f"{python_command()} {shlex.join(words)}",
            "reference scores": f"random actions {scores.random:.3f}, {best} {scores.expert:.3f}",
        }
        if isinstance(self.env, Env):
            about["seed"] = f"{FIRST_SEED} of the first episode, and so on"
        id, options = self.settings.env_id, self.settings.options
        both = scores.random, scores.expert
        page = write(self._id(name), self.env, id, options, episodes, about, both)
        print(f"{self._id(name)}: {page}")


class _GridMem(_Collection):
    """Of an id of GridMem."""

    known = ("random", "reactive", "medium", "medium-replay", "expert", "oracle", "mixed")

    @property
    def default(self) -> Sequence[str]:
        """All that is possible without another agent."""
        from gridmem.baselines.offline.sources import NEED_NO_AGENT

        if self.options.run:
            return self.known
        possible = set(NEED_NO_AGENT)
        if self._released():
            possible |= {"expert"} | (set(NEED_TRAINING) if self._recipe() else set())
        return [name for name in self.known if name in possible]

    def _released(self) -> Any:
        """The released agent of this environment; None if there is none."""
        from gridmem.baselines.agent import load, released

        id = self.settings.env_id
        agent = load(id) if id in released() else None
        return agent if agent is not None and agent.env == self.env else None

    def _recipe(self) -> Any:
        """The run that is played during its training; None if it has to be named."""
        from gridmem.baselines.config import OptimizerConfig, TrainConfig
        from gridmem.baselines.ppo.settings import PPOConfig

        if self.settings.env_id not in RECIPES:
            return None
        num_envs, gamma, total_steps = RECIPES[self.settings.env_id]
        return TrainConfig(
            env=self.settings,
            method=PPOConfig(num_envs=num_envs, gamma=gamma),
            optimizer=OptimizerConfig(optimizer="muon"),
            total_steps=total_steps,
        )

    def run(self) -> int:
        from gridmem.baselines.offline import recording, sources

        env, number = self.env, self.num_episodes(100_000, 1000)
        agent, oracle = self._released(), sources.scripted(env, "oracle")
        expert = oracle if agent is None else sources.of_agent(agent, "the released agent")
        if self.options.run is not None:
            agent = self.agent(self.options.run)
            expert = sources.of_agent(agent, f"trained agent {self.options.run}")
        with_agent = [name for name in self.names if name not in sources.NEED_NO_AGENT]
        if with_agent and agent is None:
            raise ValueError(
                f"{with_agent[0]} needs a trained agent, and none is released for "
                f"{self.settings.env_id} with these options; name one with --run"
            )
        recipe = agent.config if agent and self.options.run else self._recipe()
        to_train = [name for name in with_agent if name != "expert"]
        if to_train and recipe is None:
            raise ValueError(
                f"{to_train[0]} needs the training of an agent, which takes hours for "
                f"{self.settings.env_id}; name a run of yours with --run, whose training is "
                "repeated"
            )
        scores = sources.reference(env, sources.scripted(env, "random"), expert)
        best = expert.about.partition(":")[0]
        for name in self.names:
            if name in sources.NEED_NO_AGENT:
                source = sources.scripted(env, name)
                episodes = recording.record(env, source, number)
                self.write(name, source.about, episodes, scores, best)
        for name, what, episodes in self._with_agent(with_agent, recipe, expert, scores, number):
            self.write(name, what, episodes, scores, best)
        return 0

    def _with_agent(
        self, names: Sequence[str], recipe: Any, expert: Any, scores: Any, number: int
    ) -> Iterator[tuple[str, str, Iterator[Any]]]:
        """Name, policy and episodes of the datasets that need one."""
        from gridmem.baselines.agent import Agent
        from gridmem.baselines.offline import recording, sources

        env = self.env
        if "expert" in names:
            yield "expert", expert.about, recording.record(env, expert, number)
        trained = [name for name in names if name != "expert"]
        if not trained:
            return
        print(f"{', '.join(trained)}: an agent is trained first, {recipe.total_steps:,} steps")
        agent = Agent(recipe, env, recipe.make_method(), None)
        snapshots = sources.training(recipe, print)
        if "medium-replay" in trained:
            all_of_them = list(snapshots)
            snapshots = iter(all_of_them)
            what = f"an agent at {len(all_of_them)} evenly spaced times of its training"
            yield "medium-replay", what, sources.over_training(agent, all_of_them, number)
        if trained == ["medium-replay"]:
            return
        snapshot, value = sources.medium(agent, snapshots, scores)
        what = f"an agent after {snapshot.steps:,} steps of training (mean return {value:.3f})"
        medium = sources.of_agent(agent, what, snapshot.params)
        if "medium" in trained:
            yield "medium", what, recording.record(env, medium, number)
        if "mixed" in trained:
            three, third = (sources.scripted(env, "random"), medium, expert), -(-number // 3)
            parts = [
                recording.recorder(env, each)(each.params, third, recording.FIRST_SEED + k * third)
                for k, each in enumerate(three)
            ]
            what = f"in turn: {'; '.join(each.about for each in three)}"
            yield "mixed", what, sources.in_turn(parts)


class _Others(_Collection):
    """Of Pendulum-v1."""

    known = ("random", "medium-replay", "medium")

    @property
    def default(self) -> Sequence[str]:
        """Without the training of an agent, there is no replay of it."""
        return self.known if self.options.run is None else ("random", "medium")

    def run(self) -> int:
        from gridmem.baselines.offline import recording, sources

        env, id = self.env, self.settings.env_id
        if id != "Pendulum-v1":
            raise ValueError(
                f"datasets are of GridMem's ids and of Pendulum-v1, and not of {id}; record "
                "others with minari.DataCollector"
            )
        if self.options.run is not None and "medium-replay" in self.names:
            raise ValueError(
                "medium-replay needs the agent's whole training; leave out --run, or name the "
                "other datasets"
            )
        random, seen = sources.scripted(env, "random"), []
        if self.options.run is None:
            config = self._recipe()
            print(f"an agent of SAC is trained first, {config.total_steps:,} steps")
            seen, agent = sources.watched_run(config, print)
        else:
            agent = self.agent(self.options.run)
        best = f"agent of {agent.config.method.name}"
        expert = sources.of_agent(agent, f"{best} (--run)" if self.options.run else best)
        scores = sources.reference(env, random, expert)
        for name in self.names:
            if name == "medium-replay":
                kept = seen[: self.options.episodes]
                which = "all" if len(kept) == len(seen) else f"the first {len(kept)} episodes"
                what = f"{which} that the {best} saw in its {agent.config.total_steps:,} steps"
                self.write(name, what, iter(kept), scores, best)
                continue
            source, steps = (random, 1_000_000) if name == "random" else (expert, 200_000)
            episodes = recording.record(env, source, self.num_episodes(steps, 1))
            self.write(name, source.about, episodes, scores, best)
        return 0

    def _recipe(self) -> Any:
        """The preset of SAC, with an episode in each update."""
        from dataclasses import replace

        from gridmem.baselines.presets import preset

        config, steps = preset("sac"), self.env.max_steps
        warmup = -(-1000 // steps) * steps
        method: Any = replace(config.method, update_steps=steps, learning_starts=warmup)
        return replace(config, env=self.settings, method=method)


if __name__ == "__main__":
    sys.exit(main())
