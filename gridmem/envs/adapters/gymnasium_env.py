"""GridMem for Gymnasium."""

from typing import Any

import gymnasium
import numpy as np

from gridmem.envs.adapters.simulator import RENDER_FPS, RENDER_MODES, Simulator, checked_action
from gridmem.envs.env import Env
from gridmem.envs.registry import make_single
from gridmem.envs.suggest import nearest
from gridmem.envs.types import Level


class GridMemEnv(gymnasium.Env[Any, np.int64]):
    """One agent in one cave, as a Gymnasium environment; usually through `gymnasium.make`.

    The observation is the view, u8[V,V] tile ids (see `Tile`), the agent at its centre, or with
    `observation` "dict" or "flat" also the last action and reward (see `observations.py`).
    The action is an `Action` id. The reward is 1.0 on entering a goal, else 0.0. An episode is
    truncated after `max_steps` actions; a `max_episode_steps` given to `gymnasium.make` can cut it
    shorter, not prolong it.

    `info` has, from `reset` as from `step`: `last_action` (int, 4 before the first action),
    `last_reward` (float), `visits` (int, goals found in this episode), `steps` (int, actions
    taken in this episode).

    Args:
        env_id: one of the ids in the README; not `id`, which `gymnasium.make_vec` has taken.
        render_mode: "human" (a window; needs gridmem[play]), "rgb_array", "rgb_array_list", "ansi"
            or None.
        observation: "view", "dict" or "flat".
        **overrides: options of `gridmem.make`.

    Raises:
        ValueError: for an unknown id or option, a value that cannot be, or more than one agent.
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
        env = make_single(env_id, "Gymnasium", **overrides)
        self._simulator = Simulator(env, render_mode, observation)
        self.render_mode = render_mode
        self.observation_space = self._simulator.observation_space
        self.action_space = self._simulator.action_space

    @property
    def core(self) -> Env:
        """The environment in JAX that this one plays."""
        return self._simulator.env

    @property
    def level(self) -> Level:
        """The level of this episode; `reset(options={"level": level})` plays it again."""
        return self._simulator.level

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins an episode on a level that has not been played before.

        Args:
            seed: begins a new stream of levels; without it the stream goes on.
            options: {"level": Level} plays that level and leaves the stream where it is.

        Raises:
            gymnasium.error.Error: for a seed that is not a Python int, 0 or more.
            ValueError: for an unknown option or a level of another kind of environment.
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
        answer = self._simulator.reset(level)
        return self._simulator.observations(answer)[0], self._simulator.infos(answer)[0]

    def step(self, action: np.int64 | int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Takes one action; see the class for what comes back.

        Raises:
            ValueError: if the action is none of the four.
            gymnasium.error.ResetNeeded: before the first reset and after an episode's end.
        """
        answer = self._simulator.step([checked_action(action)])
        return (
            self._simulator.observations(answer)[0],
            answer["reward"].item(),
            answer["terminated"].item(),
            answer["truncated"].item(),
            self._simulator.infos(answer)[0],
        )

    def render(self) -> Any:
        """The whole map: u8[h,w,3] for "rgb_array", text for "ansi", else None.

        For "rgb_array_list" the pictures of the reset and of each step since, or since it was last
        asked for.
        """
        return self._simulator.render()

    def close(self) -> None:
        """Closes the window of the render mode "human"."""
        self._simulator.close()

    def _seed_of_np_random(self) -> int:
        if self.np_random_seed >= 0:
            return self.np_random_seed
        return int(self.np_random.integers(2**63))  # a generator was put there; it has no seed
