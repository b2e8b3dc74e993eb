"""A stateful policy for all interfaces: its memory lasts from call to call."""

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
from gridmem.baselines.ppo.rollout import context_length
from gridmem.envs.adapters.observations import batch_axes, parse
from gridmem.envs.adapters.simulator import cpu_device
from gridmem.envs.checks import refuse_forks
from gridmem.envs.env import Env
from gridmem.envs.types import TimeStep


class ActorState(NamedTuple):
    """The state of an actor of B streams."""

    memory: Memory
    age: Int32[Array, " B"]  # timesteps of the episode so far
    key: Key[Array, ""]  # for later actions


class Actor:
    """Maps the observations of `reset` and `step` of any interface to actions.

    | observations, in the format dict or flat | actions |
    |---|---|
    | of one environment, in numpy | int |
    | of a batch, in numpy | i64[N] |
    | of either in JAX, with any leading axes | i32 with these axes, in JAX, asynchronous |
    | of agents by name, as in PettingZoo | ints by name |

    Each environment of a batch, and each agent, is a stream of episodes. A timestep without a last
    action is the first of an episode and clears the memory of its stream, so that resets need no
    call, in any autoreset mode. Call it once for each timestep.

    Actions for one environment in numpy, and for agents by name, are computed on the CPU; for
    batches in numpy on JAX's default device; for JAX arrays on their device.
    """

    def __init__(
        self, config: TrainConfig, env: Env, model: ActorCritic, greedy: bool, seed: int
    ) -> None:
        """See `Agent.actor`."""
        if not 0 <= seed < 2**32:
            raise ValueError(f"seed is {seed}; it must be from 0 to 2**32 - 1")
        self._env, self._seed = env, np.uint32(seed)
        self._window, self._context = config.model.window, context_length(config, env)
        self._graphdef, self._params = nnx.split(model)
        self._step = _program(env, self._graphdef, greedy)
        self.forget()

    def forget(self) -> None:
        """Clears the state; the next call may have other streams."""
        self._state: ActorState | None = None
        self._streams: tuple[Any, ...] = ()  # names of the agents, or axes of the batch
        self._seen: Any = None  # checked names and shapes
        self._used = 0  # tokens in memory

    def __call__(self, obs: Any) -> Any:
        """The next actions; see the class.

        Raises:
            ValueError: if the observations differ from those of the training, if the streams
                differ from those of the first call, or under jit, vmap or scan.
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
        action, self._state = self._step(*self._weights, self._state, obs)
        self._used += 1
        if names:
            return dict(zip(names, action.tolist(), strict=True))
        if isinstance(leaves[0], jax.Array):
            return action
        return np.asarray(action, np.int64) if action.ndim else int(action)

    def _check(self, obs: Any, names: tuple[str, ...]) -> None:
        """Checks observations of new shapes; initializes the state at the first call."""
        axes = batch_axes(self._env, obs)
        streams = names or axes
        if self._state is None:
            self._streams = streams
            self._init(prod(axes), _device(obs, alone=names != () or axes == ()))
        elif streams != self._streams:
            raise ValueError(
                f"the observation is of {_in_words(streams)}, and the actor remembers "
                f"{_in_words(self._streams)}; call forget() first, or use another actor"
            )

    def _init(self, num_streams: int, device: jax.Device) -> None:
        # All arrays are committed to the device, as those that a step returns: otherwise the step
        # would be compiled twice.
        params, seed = jax.device_put((self._params, self._seed), device)
        self._state, prepared = jax.device_put(
            _init_state(self._graphdef, num_streams, self._room, params, seed), device
        )
        self._weights = params, prepared

    @property
    def _room(self) -> int:
        """Size of the memory in tokens: two episodes, or windows."""
        return 2 * (self._context + 1)

    def _make_room(self) -> None:
        """Drops from a full memory the tokens that are out of reach of attention."""
        if self._used < self._room:
            return
        assert self._state is not None
        # Episodes may be longer than those of the training.
        visible = int(self._state.age.max())
        if self._window is not None:
            visible = min(visible, self._window - 1)
        while self._context < visible:
            self._context *= 2
        memory = self._state.memory
        caches = _drop_old(
            self._graphdef, self._context, self._room, self._weights[0], memory.caches
        )
        self._state = self._state._replace(memory=memory._replace(caches=caches))
        self._used = self._context


@cache
def _program(env: Env, graphdef: Any, greedy: bool) -> Callable[..., tuple[Array, ActorState]]:
    """The step of all streams, compiled once for all actors of one kind."""

    def step(params: Any, weights: Any, state: ActorState, given: Any) -> tuple[Array, ActorState]:
        policy = streaming_policy(nnx.merge(graphdef, params), greedy, weights=weights)
        obs = parse(env, given)
        axes = obs.last_action.shape
        obs = jax.tree.map(lambda x: x.reshape(prod(axes), *x.shape[len(axes) :]), obs)
        is_first = obs.last_action == env.num_actions
        false = jnp.zeros_like(is_first)
        time = jnp.where(is_first, 0, state.age)
        timestep = TimeStep(obs, obs.last_reward, false, false, time)
        key, now = jax.random.split(state.key)
        memory, action, _ = policy.act(state.memory, timestep, now)
        return action.reshape(axes), ActorState(memory, time + 1, key)

    return jax.jit(step, donate_argnums=2)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _init_state(
    graphdef: Any, num_streams: int, room: int, params: Any, seed: UInt32[Array, ""]
) -> tuple[ActorState, Any]:
    """The state before the first call, and the prepared weights."""
    model = nnx.merge(graphdef, params)
    policy = streaming_policy(model)
    memory = policy.grow(policy.init(num_streams), room)
    age = jnp.zeros(num_streams, jnp.int32)
    return ActorState(memory, age, jax.random.key(seed)), model.prepare()


@partial(jax.jit, static_argnums=(0, 1, 2))
def _drop_old(graphdef: Any, length: int, room: int, params: Any, caches: Caches) -> Caches:
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
