"""An agent at work in the faces: from call to call it remembers what it was told."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.core import Tracer
from jaxtyping import Array, Int32, Key, UInt32

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.model.actor_critic import ActorCritic, Caches
from gridmem.baselines.model.policy import Memory, streaming_policy
from gridmem.baselines.ppo.rollout import context
from gridmem.envs.adapters.observations import batch_axes, parse
from gridmem.envs.adapters.simulator import cpu_device
from gridmem.envs.env import Env
from gridmem.envs.forks import refuse_forks
from gridmem.envs.types import TimeStep


class Recall(NamedTuple):
    """What an actor remembers of B streams."""

    memory: Memory
    age: Int32[Array, " B"]  # timesteps so far in the episode
    key: Key[Array, ""]  # of the actions to come


class Actor:
    """Called with the observations of a face's `reset` or `step`, it answers with actions.

    | observations, in the format dict or flat | actions |
    |---|---|
    | of one environment, in numpy | int |
    | of a batch, in numpy | i64[N] |
    | of either in JAX, with any leading axes | i32 with these axes, in JAX, not waited for |
    | of agents by name, as in PettingZoo | ints by name |

    Each environment of a batch, and each agent, is a stream of episodes. A timestep without a last
    action is the first of an episode: all before it is forgotten, so that resets need no word, in
    whichever autoreset mode. Call it once for each timestep.

    One environment in numpy, and agents by name, are acted for on the CPU, where they are played;
    batches in numpy on JAX's default device; JAX arrays where they are.
    """

    def __init__(
        self, config: TrainConfig, env: Env, model: ActorCritic, greedy: bool, seed: int
    ) -> None:
        """See `Agent.actor`."""
        if not 0 <= seed < 2**32:
            raise ValueError(f"seed is {seed}; it must be from 0 to 2**32 - 1")
        self._env, self._seed = env, np.uint32(seed)
        self._window, self._context = config.model.window, context(config, env)
        self._graphdef, self._params = nnx.split(model)
        self._step = _program(env, self._graphdef, greedy)
        self.forget()

    def forget(self) -> None:
        """Begins anew, as if it had never been called; the streams may be others from now on."""
        self._recall: Recall | None = None
        self._streams: tuple[Any, ...] = ()  # names of the agents, or axes of the batch
        self._seen: Any = None  # names and shapes that were checked
        self._used = 0  # tokens in the memory

    def __call__(self, obs: Any) -> Any:
        """The actions to take next; see the class.

        Raises:
            ValueError: if these are no observations that the agent was trained for, if the streams
                are not those of the first call, or under jit, vmap or scan.
            RuntimeError: in a process forked from one that had already used JAX.
        """
        refuse_forks()
        names: tuple[str, ...] = ()
        if isinstance(obs, Mapping) and obs and "view" not in obs:
            names = tuple(sorted(obs))
            obs = jax.tree.map(lambda *each: np.stack(each), *(obs[name] for name in names))
        leaves = jax.tree.leaves(obs)
        if any(isinstance(leaf, Tracer) for leaf in leaves):
            raise ValueError(
                "an actor remembers from call to call, which jit, vmap and scan do not allow; use "
                "the agent's policy() there"
            )
        seen = names, [np.shape(leaf) for leaf in leaves]
        if seen != self._seen:
            self._check(obs, names)
            self._seen = seen
        self._make_room()
        action, self._recall = self._step(*self._weights, self._recall, obs)
        self._used += 1
        if names:
            return dict(zip(names, action.tolist(), strict=True))
        if isinstance(leaves[0], jax.Array):
            return action
        return np.asarray(action, np.int64) if action.ndim else int(action)

    def _check(self, obs: Any, names: tuple[str, ...]) -> None:
        """Checks observations of a new kind; begins if they are the first."""
        axes = batch_axes(self._env, obs)
        streams = names or axes
        if self._recall is None:
            self._streams = streams
            self._begin(prod(axes), _device(obs, alone=names != () or axes == ()))
        elif streams != self._streams:
            raise ValueError(
                f"the observation is of {_in_words(streams)}, and the actor remembers "
                f"{_in_words(self._streams)}; call forget() first, or use another actor"
            )

    def _begin(self, num_streams: int, device: jax.Device) -> None:
        # All is bound to the device, as what a step returns is: else two would be compiled.
        params, seed = jax.device_put((self._params, self._seed), device)
        self._recall, prepared = jax.device_put(
            _begun(self._graphdef, num_streams, self._room, params, seed), device
        )
        self._weights = params, prepared

    @property
    def _room(self) -> int:
        """Tokens that the memory has slots for: two episodes, or windows."""
        return 2 * (self._context + 1)

    def _make_room(self) -> None:
        """Keeps of a full memory what can still be seen."""
        if self._used < self._room:
            return
        assert self._recall is not None
        # An environment may have longer episodes than that of the training.
        visible = int(self._recall.age.max())
        if self._window is not None:
            visible = min(visible, self._window - 1)
        while self._context < visible:
            self._context *= 2
        memory = self._recall.memory
        caches = _kept(self._graphdef, self._context, self._room, self._weights[0], memory.caches)
        self._recall = self._recall._replace(memory=memory._replace(caches=caches))
        self._used = self._context


@cache
def _program(env: Env, graphdef: Any, greedy: bool) -> Callable[..., tuple[Array, Recall]]:
    """One timestep of all streams, compiled once for all actors of one kind."""

    def step(params: Any, weights: Any, recall: Recall, told: Any) -> tuple[Array, Recall]:
        policy = streaming_policy(nnx.merge(graphdef, params), greedy, weights=weights)
        obs = parse(env, told)
        axes = obs.last_action.shape
        obs = jax.tree.map(lambda x: x.reshape(prod(axes), *x.shape[len(axes) :]), obs)
        begins = obs.last_action == env.num_actions
        going_on = jnp.zeros_like(begins)
        time = jnp.where(begins, 0, recall.age)
        timestep = TimeStep(obs, obs.last_reward, going_on, going_on, time)
        key, now = jax.random.split(recall.key)
        memory, action, _ = policy.act(recall.memory, timestep, now)
        return action.reshape(axes), Recall(memory, time + 1, key)

    return jax.jit(step, donate_argnums=2)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _begun(
    graphdef: Any, num_streams: int, room: int, params: Any, seed: UInt32[Array, ""]
) -> tuple[Recall, Any]:
    """What is remembered before the first call, and the prepared weights."""
    model = nnx.merge(graphdef, params)
    policy = streaming_policy(model)
    memory = policy.grow(policy.init(num_streams), room)
    age = jnp.zeros(num_streams, jnp.int32)
    return Recall(memory, age, jax.random.key(seed)), model.prepare()


@partial(jax.jit, static_argnums=(0, 1, 2))
def _kept(graphdef: Any, length: int, room: int, params: Any, caches: Caches) -> Caches:
    model = nnx.merge(graphdef, params)
    return model.grow(model.keep(caches, length), room)


def _device(obs: Any, *, alone: bool) -> jax.Device:
    array = jax.tree.leaves(obs)[0]
    if not isinstance(array, jax.Array):
        if alone:
            return cpu_device()
        array = jnp.zeros(())
    return next(iter(array.devices()))


def _in_words(streams: tuple[Any, ...]) -> str:
    if not streams:
        return "a single environment"
    if isinstance(streams[0], str):
        return f"the agents {', '.join(streams)}"
    return f"a batch of {' x '.join(map(str, streams))}"
