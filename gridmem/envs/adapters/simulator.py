"""One environment stepped from Python, as the adapters to Gymnasium and PettingZoo need it."""

from functools import cache, partial
from typing import Any

import jax
import numpy as np
from gymnasium import error, logger, spaces
from jaxtyping import Array, Int32, UInt8

from gridmem.envs.adapters.observations import Format, checked_format, observation_space
from gridmem.envs.adapters.outputs import (
    agent_infos,
    agent_observations,
    buffer_dtype,
    pack,
)
from gridmem.envs.batch.seeding import generate_level, seed_key
from gridmem.envs.env import Env
from gridmem.envs.forks import refuse_forks
from gridmem.envs.levels import checked_level
from gridmem.envs.types import Level, State, Tile

PICTURE_MODES = ["rgb_array", "ansi"]
RENDER_MODES = ["human", "rgb_array", "rgb_array_list", "ansi"]
RENDER_FPS = 8


class Simulator:
    """Plays episodes of an `Env` on the CPU, where a single environment is fastest.

    Levels come from a stream: the first `reset` after `seed` plays level 0, the next ones 1, 2, and
    so on. Can be pickled and deep-copied at any time.

    Attributes:
        env: the environment.
        render_mode: one of `RENDER_MODES`, or None.
        format: the observation format.
        running: whether an episode has begun and not ended.
    """

    def __init__(self, env: Env, render_mode: str | None = None, observation: str = "view") -> None:
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ValueError(
                f"render_mode is {render_mode!r}; it must be None or one of {RENDER_MODES}"
            )
        self.env = env
        self.render_mode = render_mode
        self.format: Format = checked_format(env, observation)
        self.running = False
        self._viewer: Any = None
        self._pictures: list[np.ndarray] = []
        self._dtype = buffer_dtype(env, self.format, env.num_agents)
        self._key: np.ndarray | None = None
        self._episode = 0
        self._level: Level | None = None
        self._state: State | None = None

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """The observation space of one agent."""
        return observation_space(self.env, self.format)

    @property
    def action_space(self) -> spaces.Discrete:
        """The action space of one agent: the ids of `Action`."""
        return spaces.Discrete(self.env.num_actions)

    @property
    def seeded(self) -> bool:
        """Whether `seed` has been called."""
        return self._key is not None

    @property
    def level(self) -> Level:
        """The level of this episode, as numpy arrays; `reset` plays it again."""
        self._require_state()
        return jax.tree.map(np.array, self._level)

    @property
    def map(self) -> UInt8[np.ndarray, "H W"]:
        """The present map, with the agents drawn in."""
        tiles, positions = self._tiles_and_positions()
        tiles[positions[:, 0], positions[:, 1]] = Tile.AGENT
        return tiles

    def seed(self, seed: int) -> None:
        """Starts the stream of levels of a seed."""
        self._key, self._episode = seed_key(seed), 0

    def reset(self, level: Level | None = None) -> np.void:
        """Begins an episode on the given level, or on the next one of the stream.

        Returns:
            A record as from `step`, with zero rewards.

        Raises:
            ValueError: if this environment cannot play the level.
            RuntimeError: in a process forked from one that had already used JAX.
        """
        refuse_forks()
        episode = self._episode
        if level is None:
            assert self._key is not None, "call seed before reset"
            key = jax.device_put(self._key, cpu_device())
            level = generate_level(self.env, key, np.uint32(episode))
            episode += 1
        else:
            level = jax.device_put(checked_level(self.env, level), cpu_device())
        state, buffer = _start(self.env, self.format, level)
        record = self._unpack(buffer)
        # Assigned together, so that an interrupted reset changes nothing.
        self._level, self._state, self._episode, self.running = level, state, episode, True
        self._pictures = []
        self._show()
        return record

    def step(self, actions: list[int]) -> np.void:
        """Advances all agents by one action each, ids from 0 to 3.

        Returns:
            A record with the fields `last_action`, `last_reward`, `reward`, `visits`, `time`,
            `terminated` and `truncated`, each [A], and those of the observation format; for
            `observations` and `infos`.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset and after an episode's end.
        """
        if not self.running:
            when = "before the first reset" if self._state is None else "after the episode's end"
            raise error.ResetNeeded(f"step was called {when}; call reset first")
        refuse_forks()
        state, buffer = _step(self.env, self.format, self._state, np.array(actions, np.int32))
        record = self._unpack(buffer)
        # Assigned together, so that an interrupted step changes nothing.
        running = not (record["terminated"][0] or record["truncated"][0])
        self._state, self.running = state, running
        self._show()
        return record

    def observations(self, record: np.void) -> list[Any]:
        """The observation of each agent, in new arrays."""
        return agent_observations(record, self.format)

    def infos(self, record: np.void) -> list[dict[str, Any]]:
        """The info of each agent, in Python numbers."""
        return agent_infos(record)

    def render(self) -> np.ndarray | list[np.ndarray] | str | None:
        """The whole map in the render mode: u8[h,w,3] or text; None and a warning without one.

        For "rgb_array_list" the pictures of the reset and the steps that were not returned before.
        None for "human", whose window `reset` and `step` update.
        """
        self._require_state()
        if self.render_mode == "rgb_array":
            return self._picture()
        if self.render_mode == "rgb_array_list":
            pictures, self._pictures = self._pictures, []
            return pictures
        if self.render_mode == "ansi":
            from gridmem.render.draw import as_text

            return as_text(*self._tiles_and_positions())
        if self.render_mode == "human":
            return None
        logger.warn(
            f"render was called without a render mode; make the environment with a render_mode "
            f"out of {RENDER_MODES}"
        )
        return None

    def close(self) -> None:
        """Closes the window, if there is one."""
        if self._viewer is not None:
            self._viewer.close()

    def _show(self) -> None:
        """Renders for the render modes that do so at each step."""
        if self.render_mode == "rgb_array_list":
            self._pictures.append(self._picture())
        if self.render_mode != "human":
            return
        if self._viewer is None:
            from gridmem.render.viewer import Viewer

            self._viewer = Viewer("GridMem", float(RENDER_FPS))
        self._viewer.show(self._picture())

    def _picture(self) -> np.ndarray:
        from gridmem.render.draw import draw

        facing = np.array(self._require_state().last_action)
        return draw(*self._tiles_and_positions(), facing=facing)

    def _tiles_and_positions(self) -> tuple[np.ndarray, np.ndarray]:
        world = self._require_state().world
        return np.array(world.tiles), np.array(world.position)

    def _require_state(self) -> State:
        if self._state is None:
            raise error.ResetNeeded("there is no episode yet; call reset first")
        return self._state

    def _unpack(self, buffer: Array) -> np.void:
        return np.array(buffer).view(self._dtype)[0]

    def __getstate__(self) -> dict[str, Any]:
        on_host = jax.device_get((self._level, self._state))
        return self.__dict__ | dict(zip(("_level", "_state"), on_host, strict=True))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._state is not None:
            self._level, self._state = jax.device_put((self._level, self._state), cpu_device())


@cache
def cpu_device() -> jax.Device:
    """The device of single environments."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # JAX_PLATFORMS names other platforms only
        return jax.local_devices()[0]


@partial(jax.jit, static_argnums=(0, 1))
def _start(env: Env, format: Format, level: Level) -> tuple[State, UInt8[Array, " bytes"]]:
    return pack(env, format, *env.start(level))


@partial(jax.jit, static_argnums=(0, 1))
def _step(
    env: Env, format: Format, state: State, action: Int32[Array, " A"]
) -> tuple[State, UInt8[Array, " bytes"]]:
    return pack(env, format, *env.step(state, action))
