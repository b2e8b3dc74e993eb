"""One environment stepped from Python, as the adapters to Gymnasium and PettingZoo need it."""

from functools import cache, partial
from typing import Any

import jax
import numpy as np
from gymnasium import error, logger
from jaxtyping import Array

from gridmem.envs.adapters.observations import Format, checked_format
from gridmem.envs.adapters.outputs import StepOutputs, agent_outputs, buffer_dtype, pack, unpack
from gridmem.envs.batch.seeding import generate_level, seed_key
from gridmem.envs.checks import refuse_forks
from gridmem.envs.env import Env
from gridmem.envs.levels import checked_level
from gridmem.envs.types import Level, State

PICTURE_MODES = ["rgb_array", "ansi"]
RENDER_MODES = ["human", "rgb_array", "rgb_array_list", "ansi"]
RENDER_FPS = 8


class Simulator:
    """Plays episodes of an `Env` on the CPU, where a single environment is fastest.

    Levels come from a stream: the first `_reset` after `_seed` plays level 0, the next ones 1, 2,
    and so on. Can be pickled and deep-copied at any time.

    Attributes:
        core: the JAX environment.
        render_mode: one of `RENDER_MODES`, or None.
    """

    def __init__(self, env: Env, render_mode: str | None = None, observation: str = "view") -> None:
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ValueError(
                f"render_mode is {render_mode!r}; it must be None or one of {RENDER_MODES}"
            )
        self.core = env
        self.render_mode = render_mode
        self._format: Format = checked_format(env, observation)
        self._running = False  # whether an episode has begun and not ended
        self._viewer: Any = None
        self._pictures: list[np.ndarray] = []
        self._dtype = buffer_dtype(env, self._format, env.num_agents)
        self._key: np.ndarray | None = None  # None before the first seed
        self._episode = 0
        self._level: Level | None = None
        self._state: State | None = None

    @property
    def level(self) -> Level:
        """The level of this episode; `reset(options={"level": level})` plays it again."""
        self._require_state()
        return jax.tree.map(np.array, self._level)

    def render(self) -> Any:
        """The whole map: u8[h,w,3] for "rgb_array", text for "ansi", else None.

        For "rgb_array_list" the pictures of the reset and the steps that were not returned before.
        """
        state = self._require_state()
        if self.render_mode in PICTURE_MODES:
            return picture(self.render_mode, *scene(state))
        if self.render_mode == "rgb_array_list":
            pictures, self._pictures = self._pictures, []
            return pictures
        if self.render_mode is None:
            logger.warn(
                "render was called without a render mode; make the environment with a "
                f"render_mode out of {RENDER_MODES}"
            )
        return None

    def close(self) -> None:
        """Closes the window of the render mode "human"."""
        if self._viewer is not None:
            self._viewer.close()

    def _seed(self, seed: int) -> None:
        """Starts the stream of levels of a seed."""
        self._key, self._episode = seed_key(seed), 0

    def _reset(self, level: Level | None = None) -> StepOutputs:
        """Begins an episode on the given level, or on the next one of the stream.

        Returns:
            What `_advance` returns, with zero rewards.

        Raises:
            ValueError: if this environment cannot play the level.
            RuntimeError: in a process forked from one that had already used JAX.
        """
        refuse_forks()
        episode = self._episode
        if level is None:
            assert self._key is not None, "call _seed before _reset"
            key = jax.device_put(self._key, cpu_device())
            level = generate_level(self.core, key, np.uint32(episode))
            episode += 1
        else:
            level = jax.device_put(checked_level(self.core, level), cpu_device())
        state, buffer = _start(self.core, self._format, level)
        outputs = self._outputs(buffer)
        # Assigned together, so that an interrupted reset changes nothing.
        self._level, self._state, self._episode, self._running = level, state, episode, True
        self._pictures = []
        self._show()
        return outputs

    def _advance(self, actions: list[int]) -> StepOutputs:
        """Advances all agents by one action each, ids from 0 to 3.

        Returns:
            Lists with the observation, reward, termination, truncation and info of each agent, in
            new arrays and Python numbers.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset and after an episode's end.
        """
        if not self._running:
            when = "before the first reset" if self._state is None else "after the episode's end"
            raise error.ResetNeeded(f"step was called {when}; call reset first")
        refuse_forks()
        state, buffer = _step(self.core, self._format, self._state, np.array(actions, np.int32))
        outputs = self._outputs(buffer)
        _, _, terminated, truncated, _ = outputs
        # Assigned together, so that an interrupted step changes nothing.
        self._state, self._running = state, not (terminated[0] or truncated[0])
        self._show()
        return outputs

    def _show(self) -> None:
        """Renders for the render modes that do so at each step."""
        if self.render_mode not in ("human", "rgb_array_list"):
            return
        image = picture("rgb_array", *scene(self._require_state()))
        if self.render_mode == "rgb_array_list":
            self._pictures.append(image)
            return
        if self._viewer is None:
            from gridmem.render.viewer import Viewer

            self._viewer = Viewer("GridMem", float(RENDER_FPS))
        self._viewer.show(image)

    def _require_state(self) -> State:
        if self._state is None:
            raise error.ResetNeeded("there is no episode yet; call reset first")
        return self._state

    def _outputs(self, buffer: Array) -> StepOutputs:
        return agent_outputs(unpack(buffer, self._dtype), self._format)

    def __getstate__(self) -> dict[str, Any]:
        if self._state is not None:
            refuse_forks()
        level, state = jax.device_get((self._level, self._state))
        return self.__dict__ | {"_level": level, "_state": state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._state is not None:
            refuse_forks()
            self._level, self._state = jax.device_put((self._level, self._state), cpu_device())


def scene(state: State) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Present tiles u8[...,H,W], positions i32[...,A,2] and last actions i32[...,A]."""
    return np.array(state.world.tiles), np.array(state.world.position), np.array(state.last_action)


def picture(mode: str, tiles: np.ndarray, positions: np.ndarray, last_action: np.ndarray) -> Any:
    """A map in a mode out of `PICTURE_MODES`."""
    from gridmem.render.draw import as_text, draw

    if mode == "ansi":
        return as_text(tiles, positions)
    return draw(tiles, positions, facing=last_action)


@cache
def cpu_device() -> jax.Device:
    """The device of single environments."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # JAX_PLATFORMS names other platforms only
        return jax.local_devices()[0]


@partial(jax.jit, static_argnums=(0, 1))
def _start(env: Env, format: Format, level: Level) -> tuple[State, Array]:
    return pack(env, format, *env.start(level))


@partial(jax.jit, static_argnums=(0, 1))
def _step(env: Env, format: Format, state: State, action: Array) -> tuple[State, Array]:
    return pack(env, format, *env.step(state, action))
