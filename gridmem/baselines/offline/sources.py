"""What plays for a dataset: scripted policies, and agents during and after their training."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gridmem.baselines.agent import Agent
from gridmem.baselines.evaluation.rollouts import draw_levels
from gridmem.baselines.method import Method
from gridmem.baselines.offline.recording import (
    FIRST_SEED,
    Episode,
    Source,
    recorder,
    replayed,
)
from gridmem.baselines.training.seeds import begin_stage, update_seeds
from gridmem.envs.analysis.oracle import oracle_actions
from gridmem.envs.analysis.scripted import reactive_policy
from gridmem.envs.batch.policy import random_policy
from gridmem.envs.batch.rollout import play
from gridmem.envs.env import Env

NUM_SNAPSHOTS = 40
"""Of an agent in training."""
SCORED_LEVELS = 128
HALF = 0.5
"""Of the expert's score, which the medium agent has at least."""
NEED_NO_AGENT = "random", "reactive", "oracle"


class Snapshot(NamedTuple):
    """An agent during its training."""

    steps: int
    params: Any


@dataclass(frozen=True)
class Reference:
    """Mean returns of random actions and of an expert.

    Raises:
        ValueError: unless the expert's is higher.
    """

    random: float
    expert: float

    def __post_init__(self) -> None:
        if self.expert <= self.random:
            raise ValueError(
                f"the agent's mean return is {self.expert:.3f}, and that of random actions "
                f"{self.random:.3f}; it must be higher"
            )

    def has_half(self, value: float) -> bool:
        """Whether a return is half-way from random actions to the expert, or above."""
        return value >= self.random + HALF * (self.expert - self.random)


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


def scorer(env: Any, source: Source) -> Callable[[Any], float]:
    """The mean return by the parameters of a source, as one compiled program.

    It is over fixed levels on which no dataset is recorded, the same for all sources.
    """
    if hasattr(env, "evaluation_levels"):
        levels, key = env.evaluation_levels(SCORED_LEVELS), jax.random.key(0)
    else:
        levels, key = draw_levels(env, SCORED_LEVELS)

    @jax.jit
    def returns(params: Any) -> Any:
        policy = source.make_policy(levels if source.knows else params)
        rollout = play(env, policy, levels, key).rollout
        return jnp.sum(jnp.where(rollout.valid, rollout.reward, 0), axis=0)

    return lambda params: float(jnp.mean(returns(params)))


def reference(env: Any, random: Source, expert: Source) -> Reference:
    """The scores of two sources."""
    return Reference(*(scorer(env, each)(each.params) for each in (random, expert)))


def _states(method: Method) -> Iterator[tuple[int, Any]]:
    """Updates so far and the state, before each update of a run and after the last.

    A state must be read before the next one is asked for, whose update reuses its memory.
    """
    config, state = method.config, jax.jit(method.init)()
    ends = np.cumsum([stage.num_updates for stage in config.method.stages_of(config)])
    for update in range(config.num_updates):
        yield update, state
        stage = int(np.searchsorted(ends, update, side="right"))
        if update and update in ends:
            state = begin_stage(method, state, stage)
        state, _ = update_seeds(method, state, stage)
    yield config.num_updates, state


def training(config: Any, progress: Callable[[str], None]) -> Iterator[Snapshot]:
    """Trains an agent; yields it at evenly spaced times, the last one trained to the end."""
    method, number = config.make_method(), config.num_updates
    due = {round((k + 1) * number / NUM_SNAPSHOTS) for k in range(NUM_SNAPSHOTS)}
    for done, state in _states(method):
        if done in due:
            steps = done * config.steps_per_update
            progress(f"training: {steps:,} of {config.total_steps:,} steps")
            yield Snapshot(steps, jax.device_get(method.params(state)))


def medium(
    agent: Agent, snapshots: Iterator[Snapshot], reference: Reference
) -> tuple[Snapshot, float]:
    """The first snapshot with half of the expert's score, and its mean return.

    Raises:
        ValueError: if there is none.
    """
    best, score = -np.inf, scorer(agent.env, of_agent(agent, ""))
    for snapshot in snapshots:
        value = score(snapshot.params)
        best = max(best, value)
        if reference.has_half(value):
            return snapshot, value
    raise ValueError(
        f"the agent never had half of the expert's score; its best return was {best:.3f}"
    )


def over_training(
    agent: Agent, snapshots: Sequence[Snapshot], num_episodes: int
) -> Iterator[Episode]:
    """Episodes of all snapshots, as many of each."""
    most = -(-num_episodes // len(snapshots))
    episodes = recorder(agent.env, of_agent(agent, ""), most)
    for number, snapshot in enumerate(snapshots):
        begin, end = (each * num_episodes // len(snapshots) for each in (number, number + 1))
        yield from episodes(snapshot.params, end - begin, FIRST_SEED + begin)


def in_turn(parts: Sequence[Iterator[Episode]]) -> Iterator[Episode]:
    """One episode of each, then the next of each."""
    for episodes in zip(*parts, strict=True):
        yield from episodes


def watched_run(config: Any, progress: Callable[[str], None]) -> tuple[list[Episode], Agent]:
    """An off-policy run: the episodes that its replay buffer holds in the end, and the agent.

    Each update must be one episode, and the buffer must have room for all.
    """
    method, state, levels = config.make_method(), None, []
    env = method.source
    for done, state in _states(method):
        start = jax.device_get(state.playing.state)
        levels.append(np.array([start.angle[0], start.velocity[0]], np.float32))
        if done and done % 10 == 0:
            progress(f"training: {done * config.steps_per_update:,} steps")
    assert state is not None
    data = jax.device_get(jax.tree.map(lambda leaf: leaf[:, 0], state.buffer.data))
    agent = Agent(config, env, method, jax.device_get(method.params(state)))
    low, high = (np.asarray(each, np.float32) for each in (env.actions.low, env.actions.high))
    episodes, length = [], env.max_steps
    (part,) = env.parts
    for number, level in enumerate(levels[:-1]):
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
