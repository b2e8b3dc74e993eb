"""SAC: Haarnoja et al. 2018, "Soft actor-critic algorithms and applications".

Equations are numbered as in arXiv 1812.05905; Algorithm 1 is `learn` and `learn_actor`.
"""

import math
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float32, Key

from gridmem.baselines.model.action_heads import gaussian_mean, squashed_gaussian
from gridmem.baselines.model.windows import Window, make_network
from gridmem.baselines.offpolicy.method import OffPolicy, OffPolicyState, copied
from gridmem.baselines.offpolicy.replay_buffer import Batch, ReplayBuffer, sample


class SACNetworks(NamedTuple):
    """Parameters, the critics' targets, and the optimizers' state."""

    actor: Any
    critics: Any
    critics_target: Any
    log_temperature: Float32[Array, ""]
    actor_opt: Any
    critics_opt: Any
    temperature_opt: Any


class SAC(OffPolicy):
    """Two critics, and an actor that is random as far as that costs little."""

    def make_actor(self, key: Key[Array, ""]) -> Any:
        """A new network from windows to the mean and the log of the deviation of actions."""
        parts, context = self.env.parts, self.settings.context
        model, rngs = self.config.model, nnx.Rngs(params=key)
        return make_network(model, parts, context, 2 * self.num_actions, rngs)

    def abstract_params(self) -> Any:
        """See `Method`."""
        return nnx.split(nnx.eval_shape(lambda: self.make_actor(jax.random.key(0))))[1]

    @cached_property
    def actor_def(self) -> Any:
        """The static part of the agent's network."""
        return nnx.split(nnx.eval_shape(lambda: self.make_actor(jax.random.key(0))))[0]

    def new_networks(self, key: Key[Array, ""]) -> SACNetworks:
        """See `OffPolicy`."""
        actor_key, critics_key = jax.random.split(key)
        actor = nnx.split(self.make_actor(actor_key))[1]
        critics = nnx.split(self.make_critics(critics_key))[1]
        log_temperature = jnp.float32(math.log(self.settings.temperature))
        opts = [self.optimizer.init(each) for each in (actor, critics, log_temperature)]
        return SACNetworks(actor, critics, copied(critics), log_temperature, *opts)

    def params(self, state: OffPolicyState) -> Any:
        """See `Method`."""
        return state.networks.actor

    def act(self, params: Any, window: Window, greedy: bool, key: Key[Array, ""]) -> Array:
        """See `OffPolicy`."""
        outputs = nnx.merge(self.actor_def, params)(window)
        return gaussian_mean(outputs) if greedy else squashed_gaussian(outputs, key)[0]

    def explore(self, networks: Any, window: Window, key: Key[Array, ""], stage: int) -> Array:
        """See `OffPolicy`."""
        return self.act(networks.actor, window, False, key)

    def learn(
        self, networks: SACNetworks, buffer: ReplayBuffer, key: Key[Array, ""], stage: int
    ) -> tuple[SACNetworks, Batch, dict[str, Float32[Array, ""]]]:
        """See `OffPolicy`."""
        sample_key, target_key = jax.random.split(key)
        batch = sample(buffer, sample_key, self.settings.batch_size, self.settings.context)
        target = self.target(networks, batch, target_key)
        critics, critics_opt, metrics = self.step_critics(
            networks.critics, networks.critics_opt, batch, target
        )
        return networks._replace(critics=critics, critics_opt=critics_opt), batch, metrics

    def learn_actor(
        self, networks: SACNetworks, batch: Batch, key: Key[Array, ""], stage: int
    ) -> tuple[SACNetworks, dict[str, Float32[Array, ""]]]:
        """See `OffPolicy`; also the temperature and the critics' targets."""
        networks, log_density, actor_loss = self.step_actor(networks, batch, key)
        networks = self.step_temperature(networks, log_density)
        critics_target = optax.incremental_update(
            networks.critics, networks.critics_target, self.settings.tau
        )
        metrics = {"actor_loss": actor_loss, "temperature": jnp.exp(networks.log_temperature)}
        return networks._replace(critics_target=critics_target), metrics

    def target(
        self, networks: SACNetworks, batch: Batch, key: Key[Array, ""]
    ) -> Float32[Array, " S"]:
        """Equations 2 and 3, with the smaller of two critics."""
        outputs = nnx.merge(self.actor_def, networks.actor)(batch.next_window)
        action, log_density = squashed_gaussian(outputs, key)
        values = nnx.merge(self.critics_def, networks.critics_target)(batch.next_window, action)
        soft = jnp.min(values, axis=0) - jnp.exp(networks.log_temperature) * log_density
        return self.bootstrapped(batch, soft)

    def step_actor(
        self, networks: SACNetworks, batch: Batch, key: Key[Array, ""]
    ) -> tuple[SACNetworks, Float32[Array, " S"], Float32[Array, ""]]:
        """Equation 9, with the smaller of two critics; also the log densities and the loss."""
        critics = nnx.merge(self.critics_def, networks.critics)
        temperature = jnp.exp(networks.log_temperature)

        def loss(actor: Any) -> tuple[Array, Array]:
            outputs = nnx.merge(self.actor_def, actor)(batch.window)
            action, log_density = squashed_gaussian(outputs, key)
            value = jnp.min(critics(batch.window, action), axis=0)
            return jnp.mean(temperature * log_density - value), log_density

        (value, log_density), grads = jax.value_and_grad(loss, has_aux=True)(networks.actor)
        actor, actor_opt = self.step(grads, networks.actor_opt, networks.actor)
        return networks._replace(actor=actor, actor_opt=actor_opt), log_density, value

    def step_temperature(
        self, networks: SACNetworks, log_density: Float32[Array, " S"]
    ) -> SACNetworks:
        """Equation 18: towards an entropy of minus one per coordinate of the action."""
        target_entropy = -float(self.num_actions)

        def loss(log_temperature: Array) -> Array:
            return -jnp.exp(log_temperature) * jnp.mean(log_density + target_entropy)

        grads = jax.grad(loss)(networks.log_temperature)
        log_temperature, opt = self.step(grads, networks.temperature_opt, networks.log_temperature)
        return networks._replace(log_temperature=log_temperature, temperature_opt=opt)
