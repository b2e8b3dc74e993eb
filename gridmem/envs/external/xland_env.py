"""The memory environments of XLand-MiniGrid (Nikulin et al. 2024) as environments of GridMem."""

# The package is an extra.
# pyright: reportMissingImports=false

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float32, Int32, Key, UInt8, UInt32

from gridmem.envs.analysis.episode_stats import Returns
from gridmem.envs.checks import check_whole_number
from gridmem.envs.environment import Discrete, Ids
from gridmem.envs.types import TimeStep

NUM_ACTIONS, NUM_TILES, NUM_COLOURS, VIEW = 6, 13, 12, 3
MISSING = (
    "it needs the package xminigrid ({}): in a clone of GridMem use `uv run --extra xland ...`, "
    'with pip `pip install "xminigrid==0.9.3"`'
)


class MemoryObservation(NamedTuple):
    """The V x V cells in front of the agent, itself at the middle of the last row, facing up.

    Tiles u8[1,V,V], colours u8[1,V,V], last_action i32[1], last_reward f32[1].
    """

    tiles: UInt8[Array, "*batch 1 V V"]
    colours: UInt8[Array, "*batch 1 V V"]
    last_action: Int32[Array, "*batch 1"]
    last_reward: Float32[Array, "*batch 1"]


@dataclass(frozen=True)
class XLandMemory:
    """An object at one end of a corridor says at which of two objects to leave at the other end.

    The agent starts anywhere in the room or the corridor, facing the far end.

    Observation: a `MemoryObservation`, with the ids of XLand-MiniGrid; walls hide nothing.
    Action: i32[1]: 0 forward, 1 turn right, 2 turn left; the others, to pick up, put down and
        toggle, do nothing here.
    Reward: 1 - 0.9 t / `max_steps` in step t at the right object, otherwise 0.
    Termination: beside either object.
    Truncation: after `max_steps` steps, if that step does not terminate.

    A level is the data of the key that XLand-MiniGrid resets with; its steps are not random.

    Attributes:
        id: XLand-MiniGrid's name of it.
        max_steps: the most steps of an episode.
        random_steps: mean length of an episode of random actions, with XLand-MiniGrid's limit.
    """

    id: str
    max_steps: int
    random_steps: int
    num_agents = 1
    actions = Discrete(NUM_ACTIONS)
    stats = Returns()
    parts = (
        Ids("tiles", (VIEW, VIEW), NUM_TILES),
        Ids("colours", (VIEW, VIEW), NUM_COLOURS),
    )

    @property
    def game(self) -> Any:
        """XLand-MiniGrid's environment, imported at first use: that starts JAX."""
        return _game(self.id, self.max_steps)[0]

    @property
    def params(self) -> Any:
        """Its parameters."""
        return _game(self.id, self.max_steps)[1]

    @property
    def mean_steps(self) -> int:
        """Steps of an episode of random actions, about."""
        return min(self.random_steps, self.max_steps)

    @property
    def about(self) -> str:
        """The environment in a few words."""
        return f"XLand-MiniGrid's corridor, view {VIEW} x {VIEW}, {self.max_steps} steps"

    def generate(self, key: Key[Array, ""]) -> UInt32[Array, "2"]:
        """Draws a level: the data of a threefry key, of the key itself if it is one."""
        data = jax.random.key_data(key)
        return data if data.shape == (2,) else jax.random.bits(key, (2,), jnp.uint32)

    def start(self, level: UInt32[Array, "2"]) -> tuple[Any, TimeStep]:
        """Begins an episode on a level."""
        with jax.numpy_dtype_promotion("standard"):
            key = jax.random.wrap_key_data(level, impl="threefry2x32")
            timestep = self.game.reset(self.params, key)
        return self._converted(timestep, jnp.int32(NUM_ACTIONS))

    def reset(self, key: Key[Array, ""]) -> tuple[Any, TimeStep]:
        """Begins an episode on a level drawn from the key."""
        return self.start(self.generate(key))

    def step(self, state: Any, action: Any) -> tuple[Any, TimeStep]:
        """Advances the agent by one action, i32[1]."""
        (action,) = jnp.asarray(action, jnp.int32)
        with jax.numpy_dtype_promotion("standard"):
            timestep = self.game.step(self.params, state, action)
        return self._converted(timestep, action)

    def frame(self, state: Any) -> UInt8[np.ndarray, "H W 3"]:
        """XLand-MiniGrid's picture of a state, the view highlighted; not for `jax.jit`."""
        return self.game.render(self.params, jax.device_get(state))

    def _converted(self, timestep: Any, action: Int32[Array, ""]) -> tuple[Any, TimeStep]:
        """The state, and the timestep of GridMem.

        The state is XLand-MiniGrid's timestep without what its `step` and `render` do not read.
        """
        state = timestep.state.replace(key=(), goal_encoding=(), rule_encoding=())
        kept = timestep.replace(state=state, step_type=(), reward=(), discount=(), observation=())
        # Some start with a weak type and lose it in a step, for which loops would compile twice.
        kept = jax.tree.map(lambda x: lax.convert_element_type(x, x.dtype), kept)
        tiles, colours = timestep.observation[..., 0], timestep.observation[..., 1]
        reward = timestep.reward.astype(jnp.float32)[None]
        over = timestep.last()
        terminated = over & (timestep.discount == 0)
        obs: Any = MemoryObservation(tiles[None], colours[None], action[None], reward)
        return kept, TimeStep(
            obs=obs,
            reward=reward,
            terminated=terminated[None],
            truncated=(over & ~terminated)[None],
            time=kept.state.step_num[None],
        )


def memory_s8(max_steps: int | None = None) -> XLandMemory:
    """MiniGrid-MemoryS8.

    Args:
        max_steps: the most steps of an episode; XLand-MiniGrid's 320 if not given.

    Raises:
        ValueError: if xminigrid is not installed, or for an invalid value.
    """
    return _memory("MiniGrid-MemoryS8", 210, 320, max_steps)


def memory_s16(max_steps: int | None = None) -> XLandMemory:
    """MiniGrid-MemoryS16.

    Args:
        max_steps: the most steps of an episode; XLand-MiniGrid's 1,280 if not given.

    Raises:
        ValueError: if xminigrid is not installed, or for an invalid value.
    """
    return _memory("MiniGrid-MemoryS16", 740, 1280, max_steps)


def _memory(id: str, random_steps: int, limit: int, max_steps: int | None) -> XLandMemory:
    if max_steps is not None:
        check_whole_number("max_steps", max_steps, 1)
    if find_spec("xminigrid") is None:
        raise ValueError(MISSING.format("No module named 'xminigrid'"))
    return XLandMemory(id, max_steps or limit, random_steps)


@cache
def _game(id: str, max_steps: int) -> tuple[Any, Any]:
    # Importing it makes arrays, which must not be those of a trace.
    with jax.ensure_compile_time_eval():
        from xminigrid.registration import make

        return make(id, max_steps=max_steps)
