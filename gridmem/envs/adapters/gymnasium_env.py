"""The adapter to Gymnasium."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from gridmem.envs.adapters.inputs import checked_action, reset_options, seed_of_np_random
from gridmem.envs.adapters.observations import observation_space
from gridmem.envs.adapters.simulator import RENDER_FPS, RENDER_MODES, Simulator
from gridmem.envs.registry import make_single_agent


class GridMemEnv(Simulator, gymnasium.Env[Any, np.int64]):
    """A Gymnasium environment with one agent; made by `gymnasium.make`.

    The observation is the view, u8[V,V] tile ids (see `Tile`), the agent at its centre, or with
    `observation` "dict" or "flat" also the last action and reward (see `observations.py`).
    The action is an `Action` id. The reward is 1.0 on entering a goal, else 0.0. An episode is
    truncated after `max_steps` actions; a `max_episode_steps` given to `gymnasium.make` can make it
    shorter, not longer.

    `info` has, from `reset` and `step`: `last_action` (int, 4 before the first action),
    `last_reward` (float), `visits` (int, finds in this episode), `steps` (int, of this
    episode).

    Args:
        env_id: one of the ids in the README; not named `id`, an argument of `gymnasium.make_vec`.
        render_mode: "human" (a window; needs gridmem[play]), "rgb_array", "rgb_array_list", "ansi"
            or None.
        observation: "view", "dict" or "flat".
        **overrides: options of `gridmem.make`.

    Attributes:
        core: the JAX environment.

    Raises:
        ValueError: for an unknown id or option, an invalid value, or more than one agent.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (Gymnasium declares it so)
        "render_modes": RENDER_MODES,
        "render_fps": RENDER_FPS,
    }

    def __init__(
        self,
        env_id: str,
        render_mode: str | None = None,
        observation: str = "view",
        **overrides: Any,
    ) -> None:
        env = make_single_agent(env_id, "Gymnasium", **overrides)
        super().__init__(env, render_mode, observation)
        self.observation_space = observation_space(env, self._format)
        self.action_space = spaces.Discrete(env.num_actions)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins an episode on the next level of the stream.

        Args:
            seed: starts the stream of levels of that seed; without it the stream continues.
            options: {"level": Level} plays that level and does not advance the stream.

        Raises:
            gymnasium.error.Error: for a seed that is not a Python int, 0 or more.
            ValueError: for an unknown option or a level that the environment cannot play.
        """
        super().reset(seed=seed)
        (level,) = reset_options(options, ["level"], "the only one is 'level'")
        if seed is not None or self._key is None:
            self._seed(seed_of_np_random(self))
        (observation,), *_, (info,) = self._reset(level)
        return observation, info

    def step(self, action: np.int64 | int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Takes one action; the class describes the results.

        Raises:
            ValueError: if the action is not 0..3.
            gymnasium.error.ResetNeeded: before the first reset and after an episode's end.
        """
        obs, rewards, terminated, truncated, infos = self._advance([checked_action(action)])
        return obs[0], rewards[0], terminated[0], truncated[0], infos[0]
