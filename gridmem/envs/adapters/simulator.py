"""An environment driven from Python, a call a step: what Gymnasium and PettingZoo faces share."""

import operator
from functools import cache, partial
from typing import Any

import jax
import numpy as np
from gymnasium import error, logger, spaces
from jaxtyping import Array, Int32, UInt8

from gridmem.envs.adapters.observations import Format, checked_format, observation_space
from gridmem.envs.adapters.packing import infos, layout, observations, packed
from gridmem.envs.batch.seeding import level_of, seed_key
from gridmem.envs.env import NUM_ACTIONS, Env
from gridmem.envs.forks import refuse_forks
from gridmem.envs.levels import checked_level
from gridmem.envs.types import Action, Level, State, Tile

PICTURE_MODES = ["rgb_array", "ansi"]
RENDER_MODES = ["human", "rgb_array", "rgb_array_list", "ansi"]
RENDER_FPS = 8


class Simulator:
    """Plays episodes of an `Env` on the CPU, also where there is a GPU: one env is faster there.

    Levels come in a stream: the first `reset` after `seed` plays level 0, the next ones play 1,
    2, and so on. It pickles and deep-copies, also in the middle of an episode.

    Attributes:
        env: what is played.
        render_mode: one of `RENDER_MODES`, or None.
        format: the observation format.
        running: whether an episode is under way.
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
        self._layout = layout(env, self.format, env.num_agents)
        self._key: np.ndarray | None = None
        self._episode = 0
        self._level: Level | None = None
        self._state: State | None = None

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """Of one agent, in the observation format."""
        return observation_space(self.env, self.format)

    @property
    def action_space(self) -> spaces.Discrete:
        """Of one agent: the ids of `Action`."""
        return spaces.Discrete(self.env.num_actions)

    @property
    def seeded(self) -> bool:
        """Whether there is a stream of levels."""
        return self._key is not None

    @property
    def level(self) -> Level:
        """The level of this episode, as numpy arrays; `reset` plays it again."""
        self._started()
        return jax.tree.map(np.array, self._level)

    @property
    def map(self) -> UInt8[np.ndarray, "H W"]:
        """The whole map as it is now, with the agents drawn in."""
        tiles, positions = self._tiles_and_positions()
        tiles[positions[:, 0], positions[:, 1]] = Tile.AGENT
        return tiles

    def seed(self, seed: int) -> None:
        """Begins the stream of levels of a seed."""
        self._key, self._episode = seed_key(seed), 0

    def reset(self, level: Level | None = None) -> np.void:
        """Begins an episode on the given level, else on the next of the stream.

        Returns:
            What `step` returns, with zeros for rewards.

        Raises:
            ValueError: if the level is not one for this environment.
            RuntimeError: in a process forked from one that had already used JAX.
        """
        refuse_forks()
        place = self._episode
        if level is None:
            assert self._key is not None, "seed comes before reset"
            key = jax.device_put(self._key, cpu_device())
            drawn = level_of(self.env, key, np.uint32(place))
            place += 1
        else:
            drawn = jax.device_put(checked_level(self.env, level), cpu_device())
        state, answer = _start(self.env, self.format, drawn)
        answer = self._unpack(answer)
        # Together, so that an interrupted reset has not happened.
        self._level, self._state, self._episode, self.running = drawn, state, place, True
        self._pictures = []
        self._show()
        return answer

    def step(self, actions: list[int]) -> np.void:
        """Advances all agents by one action each, checked by `checked_action`.

        Returns:
            A record with the fields `last_action`, `last_reward`, `reward`, `visits`, `time`,
            `terminated` and `truncated`, each [A], and those of the observation format; see
            `observations` and `infos`.

        Raises:
            gymnasium.error.ResetNeeded: if no episode is under way.
        """
        if not self.running:
            when = "before the first reset" if self._state is None else "after the episode's end"
            raise error.ResetNeeded(f"step was called {when}; call reset first")
        refuse_forks()
        state, answer = _step(self.env, self.format, self._state, np.array(actions, np.int32))
        answer = self._unpack(answer)
        # Together, so that an interrupted step has not happened.
        running = not (answer["terminated"][0] or answer["truncated"][0])
        self._state, self.running = state, running
        self._show()
        return answer

    def observations(self, answer: np.void) -> list[Any]:
        """Each agent's observation, in arrays of its own."""
        return observations(answer, self.format)

    def infos(self, answer: np.void) -> list[dict[str, Any]]:
        """Each agent's info, in plain Python numbers."""
        return infos(answer)

    def render(self) -> np.ndarray | list[np.ndarray] | str | None:
        """The whole map in the render mode: u8[h,w,3], or text; None, and a warning, without.

        For "rgb_array_list" one picture for the reset and one for each step, but for those that it
        has returned before. None for "human", whose window `reset` and `step` draw.
        """
        self._started()
        if self.render_mode == "rgb_array":
            return self._picture()
        if self.render_mode == "rgb_array_list":
            pictures, self._pictures = self._pictures, []
            return pictures
        if self.render_mode == "ansi":
            from gridmem.render.text import text

            return text(*self._tiles_and_positions())
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
        """Draws what the render mode wants to have drawn at each step."""
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

        facing = np.array(self._started().last_action)
        return draw(*self._tiles_and_positions(), facing=facing)

    def _tiles_and_positions(self) -> tuple[np.ndarray, np.ndarray]:
        world = self._started().world
        return np.array(world.tiles), np.array(world.position)

    def _started(self) -> State:
        if self._state is None:
            raise error.ResetNeeded("there is no episode yet; call reset first")
        return self._state

    def _unpack(self, answer: Array) -> np.void:
        return np.array(answer).view(self._layout)[0]

    def __getstate__(self) -> dict[str, Any]:
        on_host = jax.device_get((self._level, self._state))
        return self.__dict__ | dict(zip(("_level", "_state"), on_host, strict=True))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._state is not None:
            self._level, self._state = jax.device_put((self._level, self._state), cpu_device())


def checked_action(action: Any) -> int:
    """The id of an action given as a Python int, a numpy integer or a 0-d integer array.

    Raises:
        ValueError: for anything else, and for ids other than 0..3.
    """
    try:
        index = operator.index(action)
    except TypeError:
        index = -1
    if not 0 <= index < NUM_ACTIONS:
        moves = ", ".join(f"{move.value} ({move.name.lower()})" for move in Action)
        raise ValueError(f"action {action!r} is not a move; it must be one of {moves}")
    return index


@cache
def cpu_device() -> jax.Device:
    """Where single environments run."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # JAX_PLATFORMS names other platforms only
        return jax.local_devices()[0]


@partial(jax.jit, static_argnums=(0, 1))
def _start(env: Env, format: Format, level: Level) -> tuple[State, UInt8[Array, " bytes"]]:
    return packed(env, format, *env.start(level))


@partial(jax.jit, static_argnums=(0, 1))
def _step(
    env: Env, format: Format, state: State, action: Int32[Array, " A"]
) -> tuple[State, UInt8[Array, " bytes"]]:
    return packed(env, format, *env.step(state, action))
