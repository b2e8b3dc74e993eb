"""TD3: Fujimoto et al. 2018, "Addressing function approximation error in actor-critic methods".

Equations are numbered as in arXiv 1802.09477; Algorithm 1 is `learn_critics` and `learn_policy`.
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float32, Key

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.model.action_heads import deterministic
from gridmem.baselines.model.windows import Window, make_network
from gridmem.baselines.offpolicy.method import OffPolicy, OffPolicyState, copied
from gridmem.baselines.offpolicy.replay_buffer import Batch, ReplayBuffer, sample


class TD3Networks(NamedTuple):
    """Parameters, their targets, and the optimizers' state."""

    actor: Any
    actor_target: Any
    critics: Any
    critics_target: Any
    actor_opt: Any
    critics_opt: Any


class TD3(OffPolicy):
    """Two critics, noise on the target's actions, and an actor that learns half as often."""

    def make_actor(self, model: ModelConfig, key: Key[Array, ""]) -> Any:
        """A new network from windows to actions before tanh."""
        parts, context = self.env.parts, self.settings.context
        return make_network(model, parts, context, self.num_actions, nnx.Rngs(params=key))

    def actor_def_of(self, model: ModelConfig) -> Any:
        """The static part of that network."""
        return nnx.split(nnx.eval_shape(lambda: self.make_actor(model, jax.random.key(0))))[0]

    @cached_property
    def actor_def(self) -> Any:
        """The static part of the agent's network."""
        return self.actor_def_of(self.config.model)

    def abstract_params(self) -> Any:
        """See `Method`."""
        key = jax.random.key(0)
        return nnx.split(nnx.eval_shape(lambda: self.make_actor(self.config.model, key)))[1]

    def new_td3(self, model: ModelConfig, key: Key[Array, ""]) -> TD3Networks:
        """Networks whose targets equal them."""
        actor_key, critics_key = jax.random.split(key)
        actor = nnx.split(self.make_actor(model, actor_key))[1]
        critics = nnx.split(self.make_critics(critics_key))[1]
        opt = self.optimizer
        return TD3Networks(
            actor, copied(actor), critics, copied(critics), opt.init(actor), opt.init(critics)
        )

    def new_networks(self, key: Key[Array, ""]) -> Any:
        """See `OffPolicy`."""
        return self.new_td3(self.config.model, key)

    def params(self, state: OffPolicyState) -> Any:
        """See `Method`."""
        return state.networks.actor

    def act(self, params: Any, window: Window, greedy: bool, key: Key[Array, ""]) -> Array:
        """See `OffPolicy`; the policy is deterministic."""
        return deterministic(nnx.merge(self.actor_def, params)(window))

    def with_noise(self, action: Array, key: Key[Array, ""]) -> Array:
        """Actions for exploration."""
        noise = jax.random.normal(key, action.shape, jnp.float32)
        return jnp.clip(action + self.settings.exploration_noise * noise, -1, 1)

    def explore(self, networks: Any, window: Window, key: Key[Array, ""], stage: int) -> Array:
        """See `OffPolicy`."""
        return self.with_noise(self.act(networks.actor, window, False, key), key)

    def learn(
        self, networks: Any, buffer: ReplayBuffer, key: Key[Array, ""], stage: int
    ) -> tuple[Any, Batch, dict[str, Float32[Array, ""]]]:
        """See `OffPolicy`."""
        sample_key, noise_key = jax.random.split(key)
        batch = sample(buffer, sample_key, self.settings.batch_size, self.settings.context)
        networks, metrics = self.learn_critics(self.actor_def, networks, batch, noise_key)
        return networks, batch, metrics

    def learn_actor(
        self, networks: Any, batch: Batch, key: Key[Array, ""], stage: int
    ) -> tuple[Any, dict[str, Float32[Array, ""]]]:
        """See `OffPolicy`."""
        return self.learn_policy(self.actor_def, networks, batch)

    def learn_critics(
        self, actor_def: Any, networks: TD3Networks, batch: Batch, key: Key[Array, ""]
    ) -> tuple[TD3Networks, dict[str, Float32[Array, ""]]]:
        """Algorithm 1 from "Sample mini-batch" to "Update critics"."""
        target = self.target(actor_def, networks, batch, key)
        critics, critics_opt, metrics = self.step_critics(
            networks.critics, networks.critics_opt, batch, target
        )
        return networks._replace(critics=critics, critics_opt=critics_opt), metrics

    def learn_policy(
        self, actor_def: Any, networks: TD3Networks, batch: Batch
    ) -> tuple[TD3Networks, dict[str, Float32[Array, ""]]]:
        """Algorithm 1 within "if t mod d": the actor, and both targets."""
        networks, actor_loss = self.step_actor(actor_def, networks, batch)
        actor_target, critics_target = (
            optax.incremental_update(new, old, self.settings.tau)
            for new, old in (
                (networks.actor, networks.actor_target),
                (networks.critics, networks.critics_target),
            )
        )
        networks = networks._replace(actor_target=actor_target, critics_target=critics_target)
        return networks, {"actor_loss": actor_loss}

    def target(
        self, actor_def: Any, networks: TD3Networks, batch: Batch, key: Key[Array, ""]
    ) -> Float32[Array, " S"]:
        """Equations 10 (the smaller critic) and 14 (noise on the target's action)."""
        settings, window = self.settings, batch.next_window
        action = deterministic(nnx.merge(actor_def, networks.actor_target)(window))
        noise = settings.target_noise * jax.random.normal(key, action.shape, jnp.float32)
        limit = settings.target_noise_clip
        action = jnp.clip(action + jnp.clip(noise, -limit, limit), -1, 1)
        values = nnx.merge(self.critics_def, networks.critics_target)(window, action)
        return self.bootstrapped(batch, jnp.min(values, axis=0))

    def step_actor(
        self, actor_def: Any, networks: TD3Networks, batch: Batch
    ) -> tuple[TD3Networks, Float32[Array, ""]]:
        """The deterministic policy gradient, by the first critic."""
        critics = nnx.merge(self.critics_def, networks.critics)

        def loss(actor: Any) -> Array:
            action = deterministic(nnx.merge(actor_def, actor)(batch.window))
            return -jnp.mean(critics.first(batch.window, action))

        value, grads = jax.value_and_grad(loss)(networks.actor)
        actor, actor_opt = self.step(grads, networks.actor_opt, networks.actor)
        return networks._replace(actor=actor, actor_opt=actor_opt), value
