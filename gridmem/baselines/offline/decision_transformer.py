"""The Decision Transformer, and cloning by the same network.

Chen et al. 2021, "Decision Transformer: reinforcement learning via sequence modeling"
(arXiv 2106.01345). The target `auto` is from Zhuang et al. 2024, "Reinformer" (arXiv 2405.08740):
an expectile of the returns to go in the data, of the states that are like the present one.
"""

from dataclasses import replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import lax
from jaxtyping import Array, Float32, Int32, Key, Num

from gridmem.baselines.method import Method
from gridmem.baselines.model.action_heads import deterministic, to_box
from gridmem.baselines.model.actor_critic import Caches
from gridmem.baselines.offline.datasets import (
    RecordedPlay,
    Rows,
    Steps,
    Windows,
    cut,
    described,
    draw,
    load_play,
)
from gridmem.baselines.offline.sequence_model import (
    Recent,
    SequenceModel,
    appended,
    first_action,
    nothing_recent,
    step_of,
)
from gridmem.baselines.offline.settings import AUTO, DecisionTransformerConfig
from gridmem.baselines.training.imitation import cross_entropy, masked_mean, mean_squared_error
from gridmem.baselines.training.optimizer import make_optimizer
from gridmem.envs.batch.policy import Policy, PolicyOutput
from gridmem.envs.environment import Discrete, Numbers
from gridmem.envs.types import TimeStep

BEST_SHARE = 0.1
"""Of the episodes, which bc10 clones."""


class Networks(NamedTuple):
    """What an agent needs."""

    actor: Any
    asker: Any  # parameters of the network of the expectile; () if no return is asked for
    scale: Float32[Array, ""]  # the largest absolute return to go in the data
    mean: dict[str, Array]  # of the numbers in observations
    deviation: dict[str, Array]


class OfflineState(NamedTuple):
    """All that changes in a run."""

    networks: Networks
    opt: Any
    key: Key[Array, ""]
    num_updates: Int32[Array, ""]


class Asking(NamedTuple):
    """What the agent remembers of B streams of one episode each."""

    seen: Any  # a `Recent`, or where all steps of an episode are seen two `Caches`
    last_action: Num[Array, "B *K"]
    return_to_go: Float32[Array, " B"]
    segment: Int32[Array, " B"]  # grows when all is forgotten


class DecisionTransformer(Method):
    """Learns what was done from where it led to."""

    @classmethod
    def open(cls, config: Any) -> RecordedPlay:
        """See `Method`."""
        env, settings = config.make_env(), config.method
        play = load_play(settings.dataset, env)
        if settings.algorithm == "bc10":
            play = play.best(BEST_SHARE)
        return play.whole() if settings.context >= env.max_steps else play

    @property
    def settings(self) -> DecisionTransformerConfig:
        """Those of the run."""
        assert isinstance(self.config.method, DecisionTransformerConfig)
        return self.config.method

    @cached_property
    def env(self) -> Any:
        """The environment."""
        return self.config.make_env()

    @property
    def num_outputs(self) -> int:
        """Outputs of the actor: logits, or coordinates before tanh."""
        actions = self.env.actions
        return actions.n if isinstance(actions, Discrete) else len(actions.low)

    def make_network(self, tokens: int, asks: bool, outputs: int, key: Any) -> SequenceModel:
        """A new network."""
        env, rngs = self.env, nnx.Rngs(params=key)
        return SequenceModel(self.config.model, env.parts, env.actions, tokens, asks, outputs, rngs)

    def make_actor(self, key: Key[Array, ""]) -> SequenceModel:
        """A new network that chooses."""
        settings = self.settings
        return self.make_network(settings.tokens, settings.asks, self.num_outputs, key)

    def make_asker(self, key: Key[Array, ""]) -> SequenceModel:
        """A new network that says what return to ask for."""
        return self.make_network(1, False, 1, key)

    @cached_property
    def actor_def(self) -> Any:
        """The static part of the actor."""
        return nnx.split(nnx.eval_shape(lambda: self.make_actor(jax.random.key(0))))[0]

    @cached_property
    def asker_def(self) -> Any:
        """The static part of the network of the expectile."""
        return nnx.split(nnx.eval_shape(lambda: self.make_asker(jax.random.key(0))))[0]

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """For both networks, under one schedule."""
        number = self.config.num_updates * self.settings.gradient_steps
        return make_optimizer(self.config.optimizer, number)

    def init(self) -> OfflineState:
        """See `Method`."""
        actor_key, asker_key, key = jax.random.split(jax.random.key(self.config.seed), 3)
        actor = nnx.split(self.make_actor(actor_key))[1]
        asker = nnx.split(self.make_asker(asker_key))[1] if self.settings.asks else ()
        rows, mean, deviation = self.source.rows, {}, {}
        for part in self.env.parts:
            if isinstance(part, Numbers):
                x = rows.obs[part.name]
                mean[part.name] = jnp.asarray(x.mean(0), jnp.float32)
                deviation[part.name] = jnp.asarray(x.std(0) + 1e-6, jnp.float32)
        scale = jnp.float32(max(np.abs(rows.return_to_go).max(), 1e-6))
        networks = Networks(actor, asker, scale, mean, deviation)
        opt = self.optimizer.init((actor, asker))
        return OfflineState(networks, opt, key, jnp.int32(0))

    def inputs(self, stage: int) -> tuple[Rows]:
        """See `Method`: the data."""
        return (self._rows,)

    @cached_property
    def _rows(self) -> Rows:
        return jax.tree.map(jnp.asarray, self.source.rows)

    def update(self, state: OfflineState, stage: int, rows: Any = None) -> tuple[Any, Any]:
        """See `Method`."""
        # The data are an argument: a program serves all of the same shapes.
        return _update(replace(self, source=None), state, rows)

    def params(self, state: OfflineState) -> dict[str, Any]:
        """See `Method`; the fields of `Networks`."""
        return state.networks._asdict()

    def abstract_params(self) -> dict[str, Any]:
        """See `Method`."""
        key = jax.random.key(0)
        actor = nnx.split(nnx.eval_shape(lambda: self.make_actor(key)))[1]
        asker = nnx.split(nnx.eval_shape(lambda: self.make_asker(key)))[1]
        numbers = {
            part.name: jnp.zeros(part.shape, jnp.float32)
            for part in self.env.parts
            if isinstance(part, Numbers)
        }
        networks = Networks(
            actor, asker if self.settings.asks else (), jnp.float32(0), numbers, numbers
        )
        return networks._asdict()

    def normalized(self, networks: Networks, steps: Steps) -> Steps:
        """Steps as the networks see them."""
        obs = dict(steps.obs)
        for name, mean in networks.mean.items():
            x, shape = obs[name], [1] * (obs[name].ndim - mean.ndim) + list(mean.shape)
            obs[name] = (x - mean.reshape(shape)) / networks.deviation[name].reshape(shape)
        return steps._replace(obs=obs, return_to_go=steps.return_to_go / networks.scale)

    def loss(self, networks: Networks, windows: Windows) -> tuple[Array, dict[str, Array]]:
        """The loss of the actor, and that of the expectile; and metrics."""
        steps, valid = self.normalized(networks, windows.steps), windows.valid
        outputs = nnx.merge(self.actor_def, networks.actor).sequence(steps, valid)
        if isinstance(self.env.actions, Discrete):
            loss = cross_entropy(outputs, windows.action, valid)
        else:
            loss = mean_squared_error(deterministic(outputs), windows.action, valid)
        if not self.settings.asks:
            return loss, {"loss": loss}
        said = nnx.merge(self.asker_def, networks.asker).sequence(steps, valid)[..., 0]
        missed = steps.return_to_go - said
        expectile = self.settings.expectile
        weight = jnp.where(missed > 0, expectile, 1 - expectile)
        expectile_loss = masked_mean(weight * missed**2, valid)
        return loss + expectile_loss, {"loss": loss, "expectile_loss": expectile_loss}

    can_forget = True

    def policy(self, params: dict[str, Any], greedy: bool = False) -> Policy:
        """See `Method`."""
        return self._policy(Networks(**params), greedy, forgets=False)

    def forgetful_policy(self, params: dict[str, Any], greedy: bool = False) -> Policy:
        """See `Method`; the return to go is kept."""
        return self._policy(Networks(**params), greedy, forgets=True)

    def _policy(self, params: Networks, greedy: bool, forgets: bool) -> Policy:
        settings, env = self.settings, self.env
        actor = nnx.merge(self.actor_def, params.actor)
        asker = nnx.merge(self.asker_def, params.asker) if settings.asks else None
        whole = settings.context >= env.max_steps
        asked = None if settings.target == AUTO else float(settings.target)

        def init(batch: int) -> Asking:
            caches: Any = nothing_recent(env.parts, env.actions, batch, settings.context)
            if whole:
                networks = [actor] if asker is None else [actor, asker]
                caches = [each.trunk.init_cache(batch, 0, forgets) for each in networks]
            zeros = jnp.zeros(batch, jnp.float32)
            first = first_action(env.actions, batch)
            return Asking(caches, first, zeros, zeros.astype(jnp.int32))

        def outputs(
            seen: Any, step: Steps, begins: Array, segment: Array | None
        ) -> tuple[Array, Array, Any]:
            """Of the actor, the return to go that it was asked for, and what is seen now."""
            step = self.normalized(params, step)
            to_go = step.return_to_go
            if whole:
                if asker is not None and asked is None:
                    said, of_asker = asker.step(step, seen[1], segment)
                    to_go, seen = said[:, 0], [seen[0], of_asker]
                out, of_actor = actor.step(step._replace(return_to_go=to_go), seen[0], segment)
                return out, to_go * params.scale, [of_actor, *seen[1:]]
            recent: Recent = appended(seen, step, begins)
            if asker is not None and asked is None:
                to_go = asker.sequence(recent.steps, recent.window.valid)[:, -1, 0]
                last = recent.return_to_go.at[:, -1].set(to_go)
                recent = recent._replace(return_to_go=last)
            out = actor.sequence(recent.steps, recent.window.valid)[:, -1]
            return out, to_go * params.scale, recent

        def act(memory: Asking, timestep: TimeStep, key: Key[Array, ""]) -> PolicyOutput:
            begins = timestep.time == 0
            left = memory.return_to_go - timestep.reward
            to_go = jnp.where(begins, 0.0 if asked is None else asked, left)
            none = first_action(env.actions, len(begins))
            mask = begins.reshape(-1, *[1] * (none.ndim - 1))
            last_action = jnp.where(mask, none, memory.last_action)
            step = step_of(env.parts, timestep, last_action, to_go)
            forgotten = begins | (timestep.reward > 0) if forgets else begins
            segment = memory.segment + forgotten.astype(jnp.int32)
            of_token = segment if forgets else None
            out, to_go, seen = outputs(memory.seen, step, forgotten, of_token)
            if isinstance(env.actions, Discrete):
                draw_action = jnp.argmax(out, -1) if greedy else jax.random.categorical(key, out)
                action = taken = draw_action.astype(jnp.int32)
            else:
                action = deterministic(out)
                taken = to_box(env.actions, action)
            return PolicyOutput(Asking(seen, action, to_go, segment), taken, ())

        def grow(memory: Asking, length: int) -> Asking:
            if not whole:
                return memory
            networks = [actor] if asker is None else [actor, asker]
            seen: list[Caches] = [
                each.trunk.grow(cache, length * each.tokens)
                for each, cache in zip(networks, memory.seen, strict=True)
            ]
            return memory._replace(seen=seen)

        return Policy(init, act, grow)

    @property
    def about(self) -> dict[str, str]:
        """See `Method`."""
        return described(self.source, self.settings.target if self.settings.asks else AUTO)


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def _update(
    method: DecisionTransformer, state: OfflineState, rows: Rows
) -> tuple[OfflineState, dict[str, Array]]:
    """`gradient_steps` gradient steps, as one program."""
    settings, optimizer = method.settings, method.optimizer

    def step(carry: tuple[Networks, Any], key: Key[Array, ""]) -> tuple[tuple[Networks, Any], Any]:
        networks, opt = carry
        ends = draw(rows, key, settings.batch_size)
        windows = cut(rows, method.env.actions, ends, settings.context)

        def loss(learned: tuple[Any, Any]) -> tuple[Array, dict[str, Array]]:
            actor, asker = learned
            return method.loss(networks._replace(actor=actor, asker=asker), windows)

        learned: Any = networks.actor, networks.asker
        (_, metrics), grads = jax.value_and_grad(loss, has_aux=True)(learned)
        with jax.numpy_dtype_promotion("standard"):
            changes, opt = optimizer.update(grads, opt, learned)
        learned = optax.apply_updates(learned, changes)
        actor, asker = learned
        return (networks._replace(actor=actor, asker=asker), opt), metrics

    key, steps_key = jax.random.split(state.key)
    keys = jax.random.split(steps_key, settings.gradient_steps)
    (networks, opt), metrics = lax.scan(step, (state.networks, state.opt), keys)
    means = {name: jnp.mean(values) for name, values in metrics.items()}
    return OfflineState(networks, opt, key, state.num_updates + 1), means
