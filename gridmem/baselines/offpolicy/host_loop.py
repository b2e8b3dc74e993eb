"""The loop of an environment that Python steps: one compiled program for each step."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from gridmem.baselines.model.action_heads import to_box
from gridmem.baselines.model.windows import Window, moved, parts_of
from gridmem.baselines.offpolicy.replay_buffer import ReplayBuffer, add
from gridmem.baselines.offpolicy.rows import add_episodes, transition
from gridmem.baselines.offpolicy.settings import LEARNING
from gridmem.envs.batch.rollout import recorded
from gridmem.envs.types import TimeStep

if TYPE_CHECKING:
    from gridmem.baselines.offpolicy.method import OffPolicy, OffPolicyState


@dataclass
class Episode:
    """The episode in progress. It is no part of a checkpoint: a simulator cannot be saved."""

    timestep: Any = None  # a `TimeStep`, leaves [A, ...]; None before the first
    window: Any = None  # a `Window` with the observation of `timestep`
    action: Any = None  # f32[A, K], from -1 to 1
    taken: Any = None  # the same in the units of the environment
    statistics: Any = None  # accumulator of `env.stats`


def update(
    method: "OffPolicy", state: "OffPolicyState", stage: int
) -> tuple["OffPolicyState", dict[str, Array]]:
    """Plays and learns for `update_steps` agent steps."""
    env, settings, live = method.source, method.settings, method.episode
    networks, buffer, _, key, _ = state
    learning = method.of_stage(stage)
    number, rows, learned = int(state.num_updates), [], []
    for step in range(settings.update_steps // method.num_streams):
        if live.timestep is None:  # the first step of a process
            live.timestep = env.reset(_seed(method, number, step))
            live.window = method.first_window(live.timestep)
            live.statistics = env.stats.init(method.num_streams)
            key, action_key = jax.random.split(key)
            live.action = method.explored(networks, live.window, action_key, stage)
            live.taken = to_box(env.actions, live.action)
        taken = np.asarray(live.taken)
        now, following = live.timestep, env.step(taken)
        rows.append(recorded((), np.ones(method.num_streams, bool), taken, following))
        start = env.reset(_seed(method, number, step)) if following.done.any() else following
        with_actor = step % settings.actor_delay == settings.actor_delay - 1
        networks, buffer, live.window, live.action, live.taken, key, metrics = _step(
            learning, stage, with_actor, (networks, buffer), live.window, key, live.action, now,
            following, start,
        )  # fmt: skip
        live.timestep = start
        learned += [metrics] if with_actor else []
    rollout = jax.tree.map(lambda *each: jnp.asarray(np.stack(each)), *rows)
    live.statistics, metrics = add_episodes(env.stats, live.statistics, rollout)
    means = jax.tree.map(lambda *each: jnp.mean(jnp.stack(each)), *learned)
    state = state._replace(networks=networks, buffer=buffer, key=key)
    return state._replace(num_updates=state.num_updates + 1), {**metrics, **means}


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def _step(
    method: "OffPolicy",
    stage: int,
    with_actor: bool,
    learner: tuple[Any, ReplayBuffer],
    window: Window,
    key: Key[Array, ""],
    action: Array,
    now: TimeStep,
    following: TimeStep,
    start: TimeStep,
) -> tuple[Any, ReplayBuffer, Window, Array, Array, Key[Array, ""], dict[str, Array]]:
    """Learns after a step, and chooses the next action.

    Args:
        method: the method.
        stage: of the run.
        with_actor: whether the actor learns, too.
        learner: networks and buffer.
        window: that the action was chosen by.
        key: source of randomness.
        action: from -1 to 1.
        now: before the action.
        following: after it.
        start: the same, or the first of the next episode.
    """
    (networks, buffer), parts = learner, method.source.parts
    key, learn_key, actor_key, action_key = jax.random.split(key, 4)
    buffer, metrics = add(buffer, transition(parts, now, action, following)), {}
    if stage in LEARNING:
        networks, batch, metrics = method.learn(networks, buffer, learn_key, stage)
        if with_actor:
            networks, of_actor = method.learn_actor(networks, batch, actor_key, stage)
            metrics = {**metrics, **of_actor}
    window = moved(window, parts_of(start.obs, parts), start.time == 0)
    action = method.explored(networks, window, action_key, stage)
    taken = to_box(method.source.actions, action)
    return networks, buffer, window, action, taken, key, metrics


def _seed(method: "OffPolicy", update: int, step: int) -> int:
    """Of a reset, another one each time, and none of an evaluation."""
    words = np.random.SeedSequence((method.config.seed, update, step)).generate_state(1)
    return int(words[0]) >> 1
