"""An environment that Python steps, and a method that climbs by random changes of its policy."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import gridmem
from gridmem.baselines import Method, MethodConfig, register_method


class Observation(NamedTuple):
    place: Any
    last_action: Any
    last_reward: Any


class Slope:
    """Steps to the right pay 1, an episode ends at the right end or by the clock."""

    num_agents = 1
    actions = gridmem.Discrete(3)
    max_steps = 9
    mean_steps = 6
    parts = (gridmem.Ids("place", (1,), 5),)
    stats = gridmem.Returns()
    about = "slope of 5 cells"
    made = 0

    def __init__(self):
        Slope.made += 1

    def reset(self, seed):
        self.place, self.time = seed % 2, 0
        return self._timestep(3, 0.0)

    def step(self, action):
        (action,) = np.asarray(action).tolist()
        old = self.place
        self.place = int(np.clip(self.place + action - 1, 0, 4))
        self.time += 1
        return self._timestep(action, float(self.place - old))

    def _timestep(self, action, reward):
        paid = np.array([reward], np.float32)
        obs = Observation(np.array([[self.place]], np.int32), np.array([action], np.int32), paid)
        over = np.array([self.place == 4])
        late = np.array([self.time >= self.max_steps]) & ~over
        return gridmem.TimeStep(obs, paid, over, late, np.array([self.time], np.int32))


@dataclass(frozen=True)
class ClimbingConfig(MethodConfig):
    """Random changes of a policy, kept if they help."""

    sections = ()
    change: float = 1.0
    """Deviation of a change."""

    def steps_per_update(self, env):
        return env.max_steps


class State(NamedTuple):
    params: Any
    best: Any
    num_updates: Any


class Climbing(Method):
    traceable = False

    def init(self):
        shape = 5, self.config.make_env().actions.n
        # Values, which could not be had if the function were traced.
        params = np.asarray(jax.random.normal(jax.random.key(0), shape)) * 0
        return State(params, -np.inf, np.int32(0))

    def update(self, state, stage):
        number = int(state.num_updates)
        noise = np.random.default_rng((self.config.seed, number)).normal(size=state.params.shape)
        tried = np.asarray(state.params) + np.float32(self.config.method.change * noise)
        timestep, total, length = self.source.reset(number), 0.0, 0
        while not timestep.done.any():
            action = tried[timestep.obs.place[0, 0]].argmax()
            timestep = self.source.step([action])
            total, length = total + float(timestep.reward[0]), length + 1
        better = total > float(state.best)
        state = State(
            tried.astype(np.float32) if better else state.params,
            np.float32(max(total, float(state.best))),
            np.int32(number + 1),
        )
        numbers = {"episode_return": total, "episode_length": length, "num_episodes": 1}
        return state, {name: np.float32(x) for name, x in numbers.items()}

    def policy(self, params, greedy=False):
        def act(carry, timestep, key):
            values = params[timestep.obs.place[..., 0]]
            action = values.argmax(axis=-1) if greedy else jax.random.categorical(key, 9 * values)
            return gridmem.PolicyOutput(carry, action.astype(jnp.int32), ())

        return gridmem.Policy(lambda batch: (), act)


gridmem.register("Slope-v0", Slope)
register_method("climbing", Climbing, ClimbingConfig)
