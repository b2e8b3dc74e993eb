"""The accelerator: "Accelerating Transformers in Online RL" (arXiv 2509.26137).

A TD3 agent with a simple network, the accelerator, plays and learns; the network of the run learns
to act like it. Then that one goes on by itself, with the critics of the accelerator and a small
empty buffer. See docs/accelerator.md for what the paper says and where this differs.
"""

from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float32, Key

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.model.action_heads import deterministic
from gridmem.baselines.model.windows import Window
from gridmem.baselines.offpolicy.method import OffPolicyState, copied
from gridmem.baselines.offpolicy.replay_buffer import Batch, ReplayBuffer, sample
from gridmem.baselines.offpolicy.settings import FILLING, FIRST, SECOND
from gridmem.baselines.offpolicy.td3 import TD3, TD3Networks
from gridmem.baselines.training.imitation import mean_squared_error


class AcceleratorNetworks(NamedTuple):
    """The accelerator with its critics, and the network that clones it."""

    td3: TD3Networks  # in the second stage its actor is no longer used
    clone: Any
    clone_target: Any
    clone_opt: Any


class Accelerator(TD3):
    """Two stages: cloning an agent that learns, then learning with its critics."""

    @property
    def accelerator_model(self) -> ModelConfig:
        """The network of the accelerator."""
        settings, model = self.settings, self.config.model
        if settings.accelerator == "window-mlp":
            width, layers = settings.critic_width, settings.critic_layers
            return replace(model, mixer="none", width=width, num_layers=layers)
        return replace(model, mixer=settings.accelerator)

    @cached_property
    def accelerator_def(self) -> Any:
        """The static part of that network."""
        return self.actor_def_of(self.accelerator_model)

    def new_networks(self, key: Key[Array, ""]) -> AcceleratorNetworks:
        """See `OffPolicy`."""
        td3_key, clone_key = jax.random.split(key)
        clone = nnx.split(self.make_actor(self.config.model, clone_key))[1]
        td3 = self.new_td3(self.accelerator_model, td3_key)
        return AcceleratorNetworks(td3, clone, copied(clone), self.optimizer.init(clone))

    def params(self, state: OffPolicyState) -> Any:
        """See `Method`."""
        return state.networks.clone

    def begin_stage(self, state: OffPolicyState, stage: int) -> OffPolicyState:
        """See `Method`; in the second stage the optimizer of the network begins anew."""
        state = super().begin_stage(state, stage)
        if stage != FILLING:
            return state
        networks = state.networks
        networks = networks._replace(
            clone_target=copied(networks.clone), clone_opt=self.optimizer.init(networks.clone)
        )
        return state._replace(networks=networks)

    def explore(
        self, networks: AcceleratorNetworks, window: Window, key: Key[Array, ""], stage: int
    ) -> Array:
        """See `OffPolicy`."""
        if stage == FIRST:
            action = self._accelerated(networks, window)
        else:
            action = self.act(networks.clone, window, False, key)
        return self.with_noise(action, key)

    def learn(
        self, networks: AcceleratorNetworks, buffer: ReplayBuffer, key: Key[Array, ""], stage: int
    ) -> tuple[AcceleratorNetworks, Batch, dict[str, Float32[Array, ""]]]:
        """See `OffPolicy`; in the first stage the clone learns at every step, too."""
        settings = self.settings
        sample_key, noise_key, clone_key = jax.random.split(key, 3)
        batch = sample(buffer, sample_key, settings.batch_size, settings.context)
        if stage == SECOND and settings.stage2_critics == "fixed":
            return networks, batch, {}
        if stage == SECOND:
            td3, metrics = self.learn_critics(
                self.actor_def, self._alone(networks), batch, noise_key
            )
            return networks._replace(td3=_with_actor_of(networks.td3, td3)), batch, metrics
        td3, metrics = self.learn_critics(self.accelerator_def, networks.td3, batch, noise_key)
        networks = networks._replace(td3=td3)
        newest = -(-settings.clone_newest // self.num_streams)
        fresh = sample(buffer, clone_key, settings.batch_size, settings.context, newest)
        networks, loss = self._step_clone(networks, fresh)
        return networks, batch, {**metrics, "clone_loss": loss}

    def learn_actor(
        self, networks: AcceleratorNetworks, batch: Batch, key: Key[Array, ""], stage: int
    ) -> tuple[AcceleratorNetworks, dict[str, Float32[Array, ""]]]:
        """See `OffPolicy`."""
        if stage == FIRST:
            td3, metrics = self.learn_policy(self.accelerator_def, networks.td3, batch)
            return networks._replace(td3=td3), metrics
        after, metrics = self.learn_policy(self.actor_def, self._alone(networks), batch)
        td3 = _with_actor_of(networks.td3, after)
        clone = after.actor, after.actor_target, after.actor_opt
        return AcceleratorNetworks(td3, *clone), metrics

    def _accelerated(self, networks: AcceleratorNetworks, window: Window) -> Array:
        """What the accelerator would do, without noise."""
        return deterministic(nnx.merge(self.accelerator_def, networks.td3.actor)(window))

    def _step_clone(
        self, networks: AcceleratorNetworks, batch: Batch
    ) -> tuple[AcceleratorNetworks, Float32[Array, ""]]:
        """A gradient step towards the accelerator's actions, and maybe up its critic."""
        settings, wanted = self.settings, batch.action
        if settings.clone == "relabel":
            wanted = self._accelerated(networks, batch.window)

        def loss(clone: Any) -> tuple[Array, Array]:
            action = deterministic(nnx.merge(self.actor_def, clone)(batch.window))
            error = mean_squared_error(action, wanted, jnp.ones(len(action), bool))
            if not settings.ascent:
                return error, error
            # In units of the values, as in TD3+BC (Fujimoto & Gu 2021, equation 5).
            critics = nnx.merge(self.critics_def, networks.td3.critics)
            value = critics.first(batch.window, action)
            scale = lax.stop_gradient(jnp.mean(jnp.abs(value)))
            return error - settings.ascent * jnp.mean(value) / scale, error

        (_, error), grads = jax.value_and_grad(loss, has_aux=True)(networks.clone)
        clone, opt = self.step(grads, networks.clone_opt, networks.clone)
        return networks._replace(clone=clone, clone_opt=opt), error

    def _alone(self, networks: AcceleratorNetworks) -> TD3Networks:
        """The critics, with the clone as the actor."""
        return networks.td3._replace(
            actor=networks.clone, actor_target=networks.clone_target, actor_opt=networks.clone_opt
        )


def _with_actor_of(old: TD3Networks, new: TD3Networks) -> TD3Networks:
    """The new critics, with the old actor."""
    return new._replace(actor=old.actor, actor_target=old.actor_target, actor_opt=old.actor_opt)
