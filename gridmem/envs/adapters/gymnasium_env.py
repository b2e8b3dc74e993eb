"""The adapter to Gymnasium."""

from typing import Any

import gymnasium
import numpy as np

from gridmem.envs.adapters.inputs import checked_action
from gridmem.envs.adapters.simulator import RENDER_FPS, RENDER_MODES, Simulator
from gridmem.envs.checks import nearest
from gridmem.envs.env import Env
from gridmem.envs.registry import make_single_agent
from gridmem.envs.types import Level


class GridMemEnv(gymnasium.Env[Any, np.int64]):
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
        self._simulator = Simulator(env, render_mode, observation)
        self.render_mode = render_mode
        self.observation_space = self._simulator.observation_space
        self.action_space = self._simulator.action_space

    @property
    def core(self) -> Env:
        """The JAX environment."""
        return self._simulator.env

    @property
    def level(self) -> Level:
        """The level of this episode; `reset(options={"level": level})` plays it again."""
        return self._simulator.level

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
        options = dict(options or {})
        level = options.pop("level", None)
        for name in options:
            raise ValueError(
                f"there is no reset option {name!r}{nearest(name, ['level'])}; "
                "the only one is 'level'"
            )
        if seed is not None or not self._simulator.seeded:
            self._simulator.seed(self._seed_of_np_random())
        record = self._simulator.reset(level)
        return self._simulator.observations(record)[0], self._simulator.infos(record)[0]

    def step(self, action: np.int64 | int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Takes one action; the class describes the results.

        Raises:
            ValueError: if the action is not 0..3.
            gymnasium.error.ResetNeeded: before the first reset and after an episode's end.
        """
        record = self._simulator.step([checked_action(action)])
        return (
            self._simulator.observations(record)[0],
            record["reward"].item(),
            record["terminated"].item(),
            record["truncated"].item(),
            self._simulator.infos(record)[0],
        )

    def render(self) -> Any:
        """The whole map: u8[h,w,3] for "rgb_array", text for "ansi", else None.

        For "rgb_array_list" the pictures of the reset and the steps that were not returned before.
        """
        return self._simulator.render()

    def close(self) -> None:
        """Closes the window of the render mode "human"."""
        self._simulator.close()

    def _seed_of_np_random(self) -> int:
        if self.np_random_seed >= 0:
            return self.np_random_seed
        return int(self.np_random.integers(2**63))  # a generator was assigned, which has no seed
