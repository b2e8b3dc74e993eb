"""TD3+BC: Fujimoto & Gu 2021, "A minimalist approach to offline reinforcement learning".

TD3 on recorded steps; the actor also clones them (equation 3). Values are scaled by their mean
absolute value (equation 5). Windows and networks are those of `TD3`.
"""

from dataclasses import replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float32, Key

from gridmem.baselines.model.action_heads import deterministic
from gridmem.baselines.offline.datasets import (
    RecordedPlay,
    Rows,
    described,
    draw,
    load_play,
    transitions,
)
from gridmem.baselines.offline.settings import TD3BCConfig
from gridmem.baselines.offpolicy.replay_buffer import Batch
from gridmem.baselines.offpolicy.td3 import TD3, TD3Networks
from gridmem.baselines.training.imitation import mean_squared_error


class TD3BCState(NamedTuple):
    """All that changes in a run."""

    networks: TD3Networks
    key: Key[Array, ""]
    num_updates: Array


class TD3BC(TD3):
    """TD3 whose steps are recorded ones."""

    @classmethod
    def open(cls, config: Any) -> RecordedPlay:
        """See `Method`."""
        return load_play(config.method.dataset, config.env.env_id, config.make_env())

    @property
    def env(self) -> Any:
        """See `OffPolicy`."""
        return self.config.make_env()

    @property
    def traceable(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Nothing is played."""
        return True

    def init(self) -> Any:
        """See `Method`."""
        networks_key, key = jax.random.split(jax.random.key(self.config.seed))
        return TD3BCState(self.new_networks(networks_key), key, jnp.int32(0))

    def params(self, state: Any) -> Any:
        """See `Method`."""
        return state.networks.actor

    def inputs(self, stage: int) -> tuple[Rows]:
        """See `Method`: the data."""
        return (self._rows,)

    @cached_property
    def _rows(self) -> Rows:
        return jax.tree.map(jnp.asarray, self.source.rows)

    def update(self, state: Any, stage: int, rows: Any = None) -> tuple[Any, Any]:
        """See `Method`."""
        # The data are an argument: a program serves all of the same shapes.
        return _update(replace(self, source=None), state, rows)

    def step_actor(
        self, actor_def: Any, networks: TD3Networks, batch: Batch
    ) -> tuple[TD3Networks, Float32[Array, ""]]:
        """The deterministic policy gradient, by the first critic, and cloning."""
        critics = nnx.merge(self.critics_def, networks.critics)
        settings = self.settings
        assert isinstance(settings, TD3BCConfig)

        def loss(actor: Any) -> Array:
            action = deterministic(nnx.merge(actor_def, actor)(batch.window))
            value = critics.first(batch.window, action)
            scale = lax.stop_gradient(jnp.mean(jnp.abs(value)))
            error = mean_squared_error(action, batch.action, jnp.ones(len(action), bool))
            return error - settings.alpha * jnp.mean(value) / scale

        value, grads = jax.value_and_grad(loss)(networks.actor)
        actor, actor_opt = self.step(grads, networks.actor_opt, networks.actor)
        return networks._replace(actor=actor, actor_opt=actor_opt), value

    @property
    def about(self) -> dict[str, str]:
        """See `Method`."""
        return described(self.source)


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def _update(method: TD3BC, state: TD3BCState, rows: Rows) -> tuple[TD3BCState, dict[str, Array]]:
    """`update_steps` gradient steps, as one program."""
    settings, delay = method.settings, method.settings.actor_delay

    def block(networks: TD3Networks, key: Key[Array, ""]) -> tuple[TD3Networks, dict[str, Array]]:
        batch, metrics = None, {}
        for each in jax.random.split(key, delay):
            draw_key, noise_key = jax.random.split(each)
            ends = draw(rows, draw_key, settings.batch_size)
            batch = Batch(*transitions(rows, ends, settings.context))
            networks, metrics = method.learn_critics(method.actor_def, networks, batch, noise_key)
        assert batch is not None
        networks, of_actor = method.learn_policy(method.actor_def, networks, batch)
        return networks, {**metrics, **of_actor}

    key, blocks_key = jax.random.split(state.key)
    keys = jax.random.split(blocks_key, settings.update_steps // delay)
    networks, metrics = lax.scan(block, state.networks, keys)
    means = {name: jnp.mean(values) for name, values in metrics.items()}
    return TD3BCState(networks, key, state.num_updates + 1), means
