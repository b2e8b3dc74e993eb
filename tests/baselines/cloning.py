"""A method in two stages whose source is stored play: it clones, then it sharpens what it has."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import gridmem
from gridmem.baselines import Method, MethodConfig, Stage, register_method


@dataclass(frozen=True)
class CloningConfig(MethodConfig):
    """Cloning of stored play."""

    sections = ()
    data: str = "play.npz"
    """File with observations f32[N, F] and actions i32[N]."""
    batch: int = 64
    """Rows of an update."""
    first_updates: int = 60
    """Updates of the first stage."""

    def steps_per_update(self, env):
        return self.batch

    def stages(self, num_updates):
        first = min(self.first_updates, num_updates)
        return [Stage("clone", first), Stage("sharpen", num_updates - first)]

    def columns(self, env):
        return (gridmem.Column("loss", "loss", 3, "cross-entropy"),)


class State(NamedTuple):
    params: Any
    opt_state: Any
    scale: Any
    num_updates: Any


def features(obs):
    leaves = [leaf.reshape(len(leaf), -1).astype(jnp.float32) for leaf in obs]
    place = jax.nn.one_hot(obs.place.reshape(-1), 3, dtype=jnp.float32)
    return jnp.concatenate([*leaves, place], axis=1)


class Cloning(Method):
    traceable = False
    optimizer = optax.adam(0.05)

    @classmethod
    def open(cls, config):
        with np.load(config.method.data) as file:
            return {name: file[name] for name in ("obs", "action")}

    def init(self):
        env, key = self.config.make_env(), jax.random.key(self.config.seed)
        first = jax.eval_shape(lambda: features(env.reset(key)[1].obs))
        noise = jax.random.normal(key, (first.shape[1], env.actions.n))
        return State(0.01 * noise, self.optimizer.init(noise), jnp.float32(1), jnp.int32(0))

    def begin_stage(self, state, stage):
        return state._replace(scale=jnp.float32(4))

    def update(self, state, stage):
        rows = np.random.default_rng(int(state.num_updates)).integers(
            len(self.source["action"]), size=self.config.method.batch
        )
        if stage:
            return state._replace(num_updates=state.num_updates + 1), {"loss": jnp.float32(0)}
        params, opt_state, loss = _clone(
            state.params, state.opt_state, self.source["obs"][rows], self.source["action"][rows]
        )
        return State(params, opt_state, state.scale, state.num_updates + 1), {"loss": loss}

    def params(self, state):
        return {"logits": state.params, "scale": state.scale}

    def policy(self, params, greedy=False):
        def act(carry, timestep, key):
            logits = params["scale"] * (features(timestep.obs) @ params["logits"])
            action = logits.argmax(axis=1) if greedy else jax.random.categorical(key, logits)
            return gridmem.PolicyOutput(carry, action.astype(jnp.int32), ())

        return gridmem.Policy(lambda batch: (), act)


@jax.jit
def _clone(params, opt_state, obs, action):
    def loss(params):
        log_probs = jax.nn.log_softmax(obs @ params)
        return -jnp.take_along_axis(log_probs, action[:, None], axis=1).mean()

    value, grads = jax.value_and_grad(loss)(params)
    with jax.numpy_dtype_promotion("standard"):
        changes, opt_state = Cloning.optimizer.update(grads, opt_state)
    return optax.apply_updates(params, changes), opt_state, value


register_method("cloning", Cloning, CloningConfig)
