"""What plays for a dataset: scripted policies, and agents during and after their training."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import numpy as np

from gridmem.baselines.agent import Agent
from gridmem.baselines.evaluation.rollouts import Player, draw_levels, play_to_end
from gridmem.baselines.offline.recording import (
    FIRST_SEED,
    Episode,
    Source,
    record,
    replayed,
)
from gridmem.baselines.training.seeds import begin_stage, update_seeds
from gridmem.envs.analysis.oracle import oracle_actions
from gridmem.envs.analysis.scripted import reactive_policy
from gridmem.envs.batch.policy import random_policy
from gridmem.envs.env import Env
from gridmem.envs.environment import num_levels

NUM_SNAPSHOTS = 40
"""Of an agent in training."""
SCORED_LEVELS = 128
HALF = 0.5
"""Of the expert's score, which the medium agent has at least."""
NEED_NO_AGENT = "random", "reactive", "oracle"
GRIDMEM = "random", "reactive", "medium", "medium-replay", "expert", "oracle", "mixed"
"""The datasets of an id of GridMem."""
OTHERS = "random", "medium-replay", "medium"
"""Those of an environment with continuous actions; the agent is SAC's."""


class Snapshot(NamedTuple):
    """An agent in the midst of its training."""

    steps: int
    params: Any


@dataclass(frozen=True)
class Reference:
    """Mean returns of random actions and of the best agent that is known."""

    random: float
    expert: float

    def score(self, value: float) -> float:
        """0 for random actions, 1 for the expert."""
        return (value - self.random) / (self.expert - self.random)


def scripted(env: Any, name: str) -> Source:
    """Random actions, the reactive policy or the oracle."""
    if name == "random":
        return Source("uniformly random actions", lambda _: random_policy(env.actions))
    assert isinstance(env, Env)
    if name == "reactive":
        return Source("reactive: moves by the present view alone", lambda _: reactive_policy(env))
    about = "oracle: shortest paths to the goal, which it knows"
    return Source(about, lambda levels: replayed(oracle_actions(env, levels)), knows=True)


def of_agent(agent: Agent, about: str, params: Any = None) -> Source:
    """A trained agent, or one with other parameters of the same shapes."""
    method = agent.method
    return Source(about, method.policy, agent.params if params is None else params)


def mean_return(env: Any, player: Player, params: Any) -> float:
    """Over fixed levels on which no dataset is recorded."""
    if hasattr(env, "evaluation_levels"):
        levels = env.evaluation_levels(SCORED_LEVELS)
        key = jax.random.key(0)
    else:
        levels, key = draw_levels(env, SCORED_LEVELS)
    assert num_levels(levels) == SCORED_LEVELS
    return float(np.mean(play_to_end(env, player, params, levels, key)["episode_return"]))


def training(config: Any, progress: Callable[[str], None]) -> Iterator[Snapshot]:
    """Trains an agent; yields it as it is at equal distances, the last one trained to the end."""
    method = replace(config, run_dir=None, eval_levels=0).make_method()
    state = jax.jit(method.init)()
    number, stages = config.num_updates, config.method.stages_of(config)
    ends = np.cumsum([stage.num_updates for stage in stages])
    due = {round((k + 1) * number / NUM_SNAPSHOTS) for k in range(NUM_SNAPSHOTS)}
    for update in range(number):
        stage = int(np.searchsorted(ends, update, side="right"))
        if update and update in ends:
            state = begin_stage(method, state, stage)
        state, _ = update_seeds(method, state, stage)
        if update + 1 in due:
            steps = (update + 1) * config.steps_per_update
            progress(f"training: {steps:,} of {config.total_steps:,} steps")
            params = jax.tree.map(np.asarray, jax.device_get(method.params(state)))
            yield Snapshot(steps, params)


def medium(
    agent: Agent, snapshots: Iterator[Snapshot], reference: Reference
) -> tuple[Snapshot, float]:
    """The first snapshot with half of the expert's score, and its mean return.

    Raises:
        ValueError: if there is none.
    """
    player, best = Player(agent.method.acting), -np.inf
    for snapshot in snapshots:
        value = mean_return(agent.env, player, snapshot.params)
        best = max(best, value)
        if reference.score(value) >= HALF:
            return snapshot, value
    raise ValueError(
        f"the agent never had half of the expert's score; its best return was {best:.3f}"
    )


def over_training(
    agent: Agent, snapshots: Sequence[Snapshot], num_episodes: int
) -> Iterator[Episode]:
    """Episodes of all snapshots, as many of each."""
    source = of_agent(agent, "")
    for number, snapshot in enumerate(snapshots):
        begin, end = (each * num_episodes // len(snapshots) for each in (number, number + 1))
        if begin < end:
            one = replace(source, params=snapshot.params)
            yield from record(agent.env, one, end - begin, FIRST_SEED + begin)


def in_turn(parts: Sequence[Iterator[Episode]]) -> Iterator[Episode]:
    """One episode of each, then the next of each."""
    for episodes in zip(*parts, strict=True):
        yield from episodes


def watched_run(config: Any, progress: Callable[[str], None]) -> tuple[list[Episode], Agent]:
    """An off-policy run: the episodes that its replay buffer holds in the end, and the agent.

    Each update must be one episode, and the buffer must have room for all.
    """
    method = replace(config, run_dir=None, eval_levels=0).make_method()
    env, state, levels = method.source, jax.jit(method.init)(), []
    stages = config.method.stages_of(config)
    ends = np.cumsum([stage.num_updates for stage in stages])
    for update in range(config.num_updates):
        start = jax.device_get(state.playing.state)
        levels.append(np.array([start.angle[0], start.velocity[0]], np.float32))
        state, _ = update_seeds(method, state, int(np.searchsorted(ends, update, side="right")))
        if update % 10 == 9:
            progress(f"training: {(update + 1) * config.steps_per_update:,} steps")
    data = jax.device_get(jax.tree.map(lambda leaf: leaf[:, 0], state.buffer.data))
    agent = Agent(config, env, method, jax.device_get(method.params(state)))
    low, high = (np.asarray(each, np.float32) for each in (env.actions.low, env.actions.high))
    episodes, length = [], env.max_steps
    (part,) = env.parts
    for number, level in enumerate(levels):
        rows = slice(number * length, (number + 1) * length)
        obs, following = (each[part.name][rows] for each in (data.obs, data.next_obs))
        episode = Episode(
            seed=None,
            level=level,
            observations=np.concatenate([obs, following[-1:]]),
            actions=low + (data.action[rows] + 1) * (high - low) / 2,
            rewards=data.reward[rows],
            terminations=data.terminated[rows],
            truncations=np.arange(length) == length - 1,
        )
        episodes.append(episode)
    return episodes, agent
