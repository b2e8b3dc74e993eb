"""The Decision Transformer, and behavior cloning by the same network.

Chen et al. 2021, "Decision Transformer: reinforcement learning via sequence modeling"
(arXiv 2106.01345). The target `auto` is from Zhuang et al. 2024, "Reinformer" (arXiv 2405.08740):
an expectile of the returns to go in the data, predicted from the observations so far.
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
    predictor: Any  # of returns to go; () without a target
    target: Float32[Array, "2"]  # 1 for `auto`, else 0; and the number
    scale: Float32[Array, ""]  # the largest absolute return to go in the data
    mean: dict[str, Array]  # of the numbers in observations
    deviation: dict[str, Array]


class OfflineState(NamedTuple):
    """All that changes in a run."""

    networks: Networks
    opt: Any
    key: Key[Array, ""]
    num_updates: Int32[Array, ""]


class PolicyMemory(NamedTuple):
    """What the agent remembers of B streams of one episode each."""

    seen: Any  # a `Recent`, or where all steps of an episode are seen two `Caches`
    last_action: Num[Array, "B *K"]
    return_to_go: Float32[Array, " B"]
    segment: Int32[Array, " B"]  # grows when all is forgotten


class SequenceExtras(NamedTuple):
    """What is to be shown of a choice."""

    logits: Float32[Array, "B K"] | None  # of discrete actions
    return_to_go: Float32[Array, " B"] | None  # that the choice was conditioned on


class DecisionTransformer(Method):
    """Learns actions from the observations before them and the returns after them."""

    can_forget = True

    @classmethod
    def open(cls, config: Any) -> RecordedPlay:
        """See `Method`."""
        env, settings = config.make_env(), config.method
        play = load_play(settings.dataset, config.env.env_id, env)
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

    def make_network(self, tokens: int, conditioned: bool, outputs: int, key: Any) -> SequenceModel:
        """A new network."""
        env, rngs = self.env, nnx.Rngs(params=key)
        return SequenceModel(
            self.config.model, env.parts, env.actions, tokens, conditioned, outputs, rngs
        )

    def make_actor(self, key: Key[Array, ""]) -> SequenceModel:
        """A new network that chooses."""
        settings = self.settings
        return self.make_network(settings.tokens, settings.conditioned, self.num_outputs, key)

    def make_predictor(self, key: Key[Array, ""]) -> SequenceModel:
        """A new network that predicts returns to go."""
        return self.make_network(1, False, 1, key)

    @cached_property
    def actor_def(self) -> Any:
        """The static part of the actor."""
        return nnx.split(nnx.eval_shape(lambda: self.make_actor(jax.random.key(0))))[0]

    @cached_property
    def predictor_def(self) -> Any:
        """The static part of the predictor."""
        return nnx.split(nnx.eval_shape(lambda: self.make_predictor(jax.random.key(0))))[0]

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """For both networks, under one schedule."""
        number = self.config.num_updates * self.settings.update_steps
        return make_optimizer(self.config.optimizer, number)

    def init(self) -> OfflineState:
        """See `Method`."""
        actor_key, predictor_key, key = jax.random.split(jax.random.key(self.config.seed), 3)
        actor = nnx.split(self.make_actor(actor_key))[1]
        predictor = (
            nnx.split(self.make_predictor(predictor_key))[1] if self.settings.conditioned else ()
        )
        rows, mean, deviation = self.source.rows, {}, {}
        for part in self.env.parts:
            if isinstance(part, Numbers):
                x = rows.obs[part.name]
                exact = np.asarray(x, np.float64)
                mean[part.name] = jnp.asarray(exact.mean(0), jnp.float32)
                deviation[part.name] = jnp.asarray(np.maximum(exact.std(0), 1e-3), jnp.float32)
        scale = jnp.float32(max(np.abs(rows.return_to_go).max(), 1e-6))
        target = target_array(self.settings.target)
        networks = Networks(actor, predictor, target, scale, mean, deviation)
        # Apart from each other, so that the actor's steps are those of cloning.
        opt = self.optimizer.init(actor), self.optimizer.init(predictor)
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
        predictor = nnx.split(nnx.eval_shape(lambda: self.make_predictor(key)))[1]
        numbers = {
            part.name: jnp.zeros(part.shape, jnp.float32)
            for part in self.env.parts
            if isinstance(part, Numbers)
        }
        networks = Networks(
            actor,
            predictor if self.settings.conditioned else (),
            jnp.zeros(2, jnp.float32),
            jnp.float32(0),
            numbers,
            numbers,
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
        """The losses of the actor and of the predictor; and metrics."""
        steps, valid = self.normalized(networks, windows.steps), windows.valid
        outputs = nnx.merge(self.actor_def, networks.actor).sequence(steps, valid)
        if isinstance(self.env.actions, Discrete):
            loss = cross_entropy(outputs, windows.action, valid)
        else:
            loss = mean_squared_error(deterministic(outputs), windows.action, valid)
        if not self.settings.conditioned:
            return loss, {"loss": loss}
        said = nnx.merge(self.predictor_def, networks.predictor).sequence(steps, valid)[..., 0]
        missed = steps.return_to_go - said
        expectile = self.settings.expectile
        weight = jnp.where(missed > 0, expectile, 1 - expectile)
        expectile_loss = masked_mean(weight * missed**2, valid)
        return loss + expectile_loss, {"loss": loss, "expectile_loss": expectile_loss}

    def policy(self, params: dict[str, Any], greedy: bool = False) -> Policy:
        """See `Method`."""
        return self._policy(Networks(**params), greedy, forgets=False)

    def forgetful_policy(self, params: dict[str, Any], greedy: bool = False) -> Policy:
        """See `Method`; the return to go is kept."""
        return self._policy(Networks(**params), greedy, forgets=True)

    def _policy(self, params: Networks, greedy: bool, forgets: bool) -> Policy:
        settings, env = self.settings, self.env
        actor = nnx.merge(self.actor_def, params.actor)
        predictor = (
            nnx.merge(self.predictor_def, params.predictor) if settings.conditioned else None
        )
        whole = settings.context >= env.max_steps
        networks = [actor] if predictor is None else [actor, predictor]
        weights = [each.trunk.prepare() for each in networks]
        is_auto, target = params.target[0] > 0, params.target[1]

        def init(batch: int) -> PolicyMemory:
            caches: Any = nothing_recent(env.parts, env.actions, batch, settings.context)
            if whole:
                caches = [each.trunk.init_cache(batch, 0, forgets) for each in networks]
            zeros = jnp.zeros(batch, jnp.float32)
            first = first_action(env.actions, batch)
            return PolicyMemory(caches, first, zeros, zeros.astype(jnp.int32))

        def outputs(
            seen: Any, step: Steps, begins: Array, segment: Array | None
        ) -> tuple[Array, Array, Any]:
            """Of the actor; the return to go that it was given; and what is seen now."""
            step = self.normalized(params, step)
            to_go = step.return_to_go
            if whole:
                if predictor is not None:
                    said, of_predictor = predictor.step(step, seen[1], segment, weights[1])
                    to_go = jnp.where(is_auto, said[:, 0], to_go)
                    seen = [seen[0], of_predictor]
                step = step._replace(return_to_go=to_go)
                out, of_actor = actor.step(step, seen[0], segment, weights[0])
                return out, to_go * params.scale, [of_actor, *seen[1:]]
            recent: Recent = appended(seen, step, begins)
            if predictor is not None:
                said = predictor.sequence(recent.steps, recent.window.valid)[:, -1, 0]
                to_go = jnp.where(is_auto, said, to_go)
                last = recent.return_to_go.at[:, -1].set(to_go)
                recent = recent._replace(return_to_go=last)
            out = actor.sequence(recent.steps, recent.window.valid)[:, -1]
            return out, to_go * params.scale, recent

        def act(memory: PolicyMemory, timestep: TimeStep, key: Key[Array, ""]) -> PolicyOutput:
            begins = timestep.time == 0
            left = memory.return_to_go - timestep.reward
            to_go = jnp.where(begins, target, left)
            none = first_action(env.actions, len(begins))
            mask = begins.reshape(-1, *[1] * (none.ndim - 1))
            last_action = jnp.where(mask, none, memory.last_action)
            step = step_of(env.parts, timestep, last_action, to_go)
            forgotten = begins | (timestep.reward > 0) if forgets else begins
            segment = memory.segment + forgotten.astype(jnp.int32)
            of_token = segment if forgets else None
            out, to_go, seen = outputs(memory.seen, step, forgotten, of_token)
            if isinstance(env.actions, Discrete):
                chosen = jnp.argmax(out, -1) if greedy else jax.random.categorical(key, out)
                action, logits = chosen.astype(jnp.int32), out
                taken = action
            else:
                action, logits = deterministic(out), None
                taken = to_box(env.actions, action)
            extras = SequenceExtras(logits, to_go if settings.conditioned else None)
            return PolicyOutput(PolicyMemory(seen, action, to_go, segment), taken, extras)

        def grow(memory: PolicyMemory, length: int) -> PolicyMemory:
            if not whole:
                return memory
            seen: list[Caches] = [
                each.trunk.grow(cache, length * each.tokens)
                for each, cache in zip(networks, memory.seen, strict=True)
            ]
            return memory._replace(seen=seen)

        return Policy(init, act, grow)

    @property
    def about(self) -> dict[str, str]:
        """See `Method`."""
        return described(self.source, self.settings.target if self.settings.conditioned else AUTO)


def target_array(target: str) -> Float32[Array, "2"]:
    """A target as an agent has it: an array, so that one program plays with all."""
    return jnp.array([1, 0] if target == AUTO else [0, float(target)], jnp.float32)


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def _update(
    method: DecisionTransformer, state: OfflineState, rows: Rows
) -> tuple[OfflineState, dict[str, Array]]:
    """`update_steps` gradient steps, as one program."""
    settings, optimizer = method.settings, method.optimizer

    def step(carry: tuple[Networks, Any], key: Key[Array, ""]) -> tuple[tuple[Networks, Any], Any]:
        networks, opt = carry
        ends = draw(rows, key, settings.batch_size)
        windows = cut(rows, method.env.actions, ends, settings.context)

        def loss(learned: tuple[Any, Any]) -> tuple[Array, dict[str, Array]]:
            actor, predictor = learned
            return method.loss(networks._replace(actor=actor, predictor=predictor), windows)

        learned: Any = networks.actor, networks.predictor
        (_, metrics), grads = jax.value_and_grad(loss, has_aux=True)(learned)
        with jax.numpy_dtype_promotion("standard"):
            changes, opts = zip(*map(optimizer.update, grads, opt, learned), strict=True)
        actor, predictor = map(optax.apply_updates, learned, changes)
        return (networks._replace(actor=actor, predictor=predictor), opts), metrics

    key, steps_key = jax.random.split(state.key)
    keys = jax.random.split(steps_key, settings.update_steps)
    (networks, opt), metrics = lax.scan(step, (state.networks, state.opt), keys)
    means = {name: jnp.mean(values) for name, values in metrics.items()}
    return OfflineState(networks, opt, key, state.num_updates + 1), means
