"""What off-policy methods share: an agent plays, steps go into a ring, and each is learned from."""

from dataclasses import replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import lax
from jaxtyping import Array, Float32, Key

from gridmem.baselines.method import Method
from gridmem.baselines.model.action_heads import to_box
from gridmem.baselines.model.q_networks import TwinCritics
from gridmem.baselines.model.windows import Window, empty_window, moved, parts_of
from gridmem.baselines.offpolicy import host_loop
from gridmem.baselines.offpolicy.replay_buffer import (
    Batch,
    ReplayBuffer,
    Transition,
    add,
    emptied,
    empty_buffer,
)
from gridmem.baselines.offpolicy.rows import add_episodes, transition
from gridmem.baselines.offpolicy.settings import FILLING, LEARNING, WARMUP, OffPolicyConfig
from gridmem.envs.batch.autoreset import with_reset
from gridmem.envs.batch.policy import Policy, PolicyOutput
from gridmem.envs.batch.rollout import Rollout, by_environment, flatten, recorded
from gridmem.envs.environment import is_on_host
from gridmem.envs.types import TimeStep


class Playing(NamedTuple):
    """N environments in the midst of their episodes; all () of an environment on the host."""

    state: Any  # leaves [N, ...]
    timestep: Any  # a `TimeStep`, leaves [N, A, ...]; not yet acted upon
    window: Any  # a `Window` of B = N * A streams, with the observation of `timestep`
    episodes: Any  # accumulator of `env.stats`


class OffPolicyState(NamedTuple):
    """All that changes in a run."""

    networks: Any  # parameters, targets and the state of the optimizers
    buffer: ReplayBuffer
    playing: Playing
    key: Key[Array, ""]
    num_updates: Array


class OffPolicy(Method):
    """Off-policy learning with a replay buffer; the base class of TD3 and SAC.

    A subclass has `new_networks`, `explore`, `learn`, `learn_actor`, `act` and `params`.
    """

    def new_networks(self, key: Key[Array, ""]) -> Any:
        """Networks and the state of their optimizers."""
        raise NotImplementedError

    def explore(self, networks: Any, window: Window, key: Key[Array, ""], stage: int) -> Array:
        """Actions f32[B, K] for the replay buffer, from -1 to 1."""
        raise NotImplementedError

    def learn(
        self, networks: Any, buffer: ReplayBuffer, key: Key[Array, ""], stage: int
    ) -> tuple[Any, Batch, dict[str, Float32[Array, ""]]]:
        """One gradient step of the critics; also the batch, and metrics."""
        raise NotImplementedError

    def learn_actor(
        self, networks: Any, batch: Batch, key: Key[Array, ""], stage: int
    ) -> tuple[Any, dict[str, Float32[Array, ""]]]:
        """One gradient step of the actor on the batch of the critics' last, and metrics."""
        raise NotImplementedError

    def act(self, params: Any, window: Window, greedy: bool, key: Key[Array, ""]) -> Array:
        """Actions f32[B, K] of the agent, from -1 to 1."""
        raise NotImplementedError

    @property
    def settings(self) -> Any:
        """The `OffPolicyConfig`."""
        assert isinstance(self.config.method, OffPolicyConfig)
        return self.config.method

    @property
    def env(self) -> Any:
        """The environment that is learned for."""
        return self.source

    @property
    def traceable(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the environment is one of JAX."""
        return not is_on_host(self.env)

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Adam, for every network."""
        return optax.adam(self.settings.learning_rate)

    @property
    def num_actions(self) -> int:
        """Coordinates of an action, K."""
        return len(self.env.actions.low)

    @property
    def num_streams(self) -> int:
        """Agents that play, B."""
        return self.settings.num_envs * self.env.num_agents

    @cached_property
    def critics_def(self) -> Any:
        """The static part of the critics."""
        return nnx.split(nnx.eval_shape(lambda: self.make_critics(jax.random.key(0))))[0]

    @cached_property
    def episode(self) -> host_loop.Episode:
        """Of a host's environment, the episode in progress."""
        return host_loop.Episode()

    def make_critics(self, key: Key[Array, ""]) -> TwinCritics:
        """New critics."""
        settings, parts = self.settings, self.env.parts
        sizes = (settings.critic_width,) * settings.critic_layers
        return TwinCritics(sizes, parts, settings.context, self.num_actions, nnx.Rngs(params=key))

    def init(self) -> OffPolicyState:
        """See `Method`."""
        keys = jax.random.split(jax.random.key(self.config.seed), 3)
        num_rows = self.settings.buffer // self.num_streams
        buffer = empty_buffer(self._blank_row(), num_rows)
        playing = Playing((), (), (), ()) if not self.traceable else self._begin(keys[0])
        return OffPolicyState(self.new_networks(keys[1]), buffer, playing, keys[2], jnp.int32(0))

    def _blank_row(self) -> Transition:
        blank = jax.tree.map(
            lambda leaf: leaf[:, 0], empty_window(self.env.parts, self.num_streams, 1).obs
        )
        zero = jnp.zeros(self.num_streams, jnp.float32)
        action = jnp.zeros((self.num_streams, self.num_actions), jnp.float32)
        return Transition(blank, action, zero, zero > 0, blank, zero.astype(jnp.int32))

    def _begin(self, key: Key[Array, ""]) -> Playing:
        env = self.source
        state, timestep = jax.vmap(env.reset)(jax.random.split(key, self.settings.num_envs))
        return Playing(
            state, timestep, self.first_window(flatten(timestep)), env.stats.init(self.num_streams)
        )

    def first_window(self, timestep: TimeStep) -> Window:
        """The window at the start of an episode in each stream, leaves [B, ...]."""
        parts = self.env.parts
        empty = empty_window(parts, self.num_streams, self.settings.context)
        return moved(empty, parts_of(timestep.obs, parts), jnp.asarray(timestep.time == 0))

    def begin_stage(self, state: OffPolicyState, stage: int) -> OffPolicyState:
        """See `Method`; the second stage begins with an empty buffer."""
        if stage != FILLING:
            return state
        capacity = self.settings.stage2_buffer // self.num_streams
        return state._replace(buffer=emptied(state.buffer, capacity))

    def update(self, state: OffPolicyState, stage: int) -> tuple[OffPolicyState, Any]:
        """See `Method`."""
        if not self.traceable:
            return host_loop.update(self, state, stage)
        return _update(self.of_stage(stage), state, stage)

    def of_stage(self, stage: int) -> "OffPolicy":
        """The method with the learning rate of a stage."""
        settings = self.settings
        if stage < FILLING or settings.stage2_learning_rate is None:
            return self
        settings = replace(settings, learning_rate=settings.stage2_learning_rate)
        return replace(self, config=replace(self.config, method=settings))

    def explored(self, networks: Any, window: Window, key: Key[Array, ""], stage: int) -> Array:
        """Actions f32[B, K] from -1 to 1; at first uniformly random ones."""
        if stage == WARMUP:
            shape = self.num_streams, self.num_actions
            return jax.random.uniform(key, shape, jnp.float32, -1, 1)
        return self.explore(networks, window, key, stage)

    def policy(self, params: Any, greedy: bool = False) -> Policy:
        """See `Method`."""
        parts, context = self.env.parts, self.settings.context

        def act(window: Window, timestep: TimeStep, key: Key[Array, ""]) -> PolicyOutput:
            window = moved(window, parts_of(timestep.obs, parts), timestep.time == 0)
            action = self.act(params, window, greedy, key)
            return PolicyOutput(window, to_box(self.env.actions, action), ())

        return Policy(lambda batch: empty_window(parts, batch, context), act)

    def bootstrapped(self, batch: Batch, value: Float32[Array, " S"]) -> Float32[Array, " S"]:
        """The reward, and the discounted value of what follows unless the task has ended.

        A time limit does not end the task, so the value of the last observation counts there.
        """
        return batch.reward + self.settings.gamma * jnp.where(batch.terminated, 0, value)

    def step_critics(
        self, critics: Any, opt: Any, batch: Batch, target: Float32[Array, " S"]
    ) -> tuple[Any, Any, dict[str, Float32[Array, ""]]]:
        """A gradient step on the squared errors of both critics."""

        def loss(critics: Any) -> tuple[Array, Array]:
            values = nnx.merge(self.critics_def, critics)(batch.window, batch.action)
            return jnp.sum(jnp.mean((values - target[None]) ** 2, axis=1)), jnp.mean(values)

        (error, value), grads = jax.value_and_grad(loss, has_aux=True)(critics)
        critics, opt = self.step(grads, opt, critics)
        return critics, opt, {"critic_loss": error, "value": value}

    def step(self, grads: Any, opt: Any, params: Any) -> tuple[Any, Any]:
        """A step of the optimizer."""
        with jax.numpy_dtype_promotion("standard"):
            changes, opt = self.optimizer.update(grads, opt, params)
        return optax.apply_updates(params, changes), opt

    def play(
        self, networks: Any, playing: Playing, key: Key[Array, ""], stage: int
    ) -> tuple[Playing, Transition, Rollout]:
        """One step of all environments. Those whose episode ended begin another."""
        env, now = self.source, flatten(playing.timestep)
        action_key, reset_key = jax.random.split(key)
        action = self.explored(networks, playing.window, action_key, stage)
        taken = by_environment(env, to_box(env.actions, action))
        state, final = jax.vmap(env.step)(playing.state, taken)

        def key_of(rows: Array) -> Array:
            return jax.vmap(partial(jax.random.fold_in, reset_key))(rows)

        ended = flatten(final)
        state, timestep = with_reset(env, final.done[:, 0], state, final, key_of)
        following = flatten(timestep)
        row = transition(env.parts, now, action, ended)
        window = moved(playing.window, parts_of(following.obs, env.parts), following.time == 0)
        playing = playing._replace(state=state, timestep=timestep, window=window)
        valid = jnp.ones_like(ended.terminated)
        return playing, row, recorded((), valid, taken, ended)


def copied(tree: Any) -> Any:
    """Other arrays with the same values: an update reuses the memory of each array once."""
    return jax.tree.map(jnp.copy, tree)


@partial(jax.jit, static_argnums=(0, 2), donate_argnums=1)
def _update(method: OffPolicy, state: OffPolicyState, stage: int) -> tuple[OffPolicyState, Any]:
    """Plays and learns for `update_steps` agent steps, as one program."""
    delay = method.settings.actor_delay
    num_rows = method.settings.update_steps // method.num_streams

    def step(carry: OffPolicyState, _: None) -> tuple[OffPolicyState, Any]:
        networks, buffer, playing, key, number = carry
        key, play_key, learn_key = jax.random.split(key, 3)
        playing, row, seen = method.play(networks, playing, play_key, stage)
        buffer, batch, metrics = add(buffer, row), None, {}
        if stage in LEARNING:
            networks, batch, metrics = method.learn(networks, buffer, learn_key, stage)
        return OffPolicyState(networks, buffer, playing, key, number), (seen, batch, metrics)

    def block(carry: OffPolicyState, _: None) -> tuple[OffPolicyState, Any]:
        # No condition on the number of the step, of which vmap would compute both sides.
        carry, (seen, batches, metrics) = lax.scan(step, carry, length=delay)
        if stage not in LEARNING:
            return carry, (seen, metrics)
        key, actor_key = jax.random.split(carry.key)
        batch = jax.tree.map(lambda leaf: leaf[-1], batches)
        networks, of_actor = method.learn_actor(carry.networks, batch, actor_key, stage)
        return carry._replace(networks=networks, key=key), (seen, {**metrics, **of_actor})

    state, (rollout, metrics) = lax.scan(block, state, length=num_rows // delay)
    rollout = jax.tree.map(lambda leaf: leaf.reshape(num_rows, *leaf.shape[2:]), rollout)
    playing = state.playing
    episodes, of_episodes = add_episodes(method.source.stats, playing.episodes, rollout)
    metrics = {name: jnp.mean(values) for name, values in metrics.items()}
    state = state._replace(
        playing=playing._replace(episodes=episodes), num_updates=state.num_updates + 1
    )
    return state, {**of_episodes, **metrics}
