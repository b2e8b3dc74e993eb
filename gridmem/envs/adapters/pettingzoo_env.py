"""The adapter to PettingZoo."""

import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils import OrderEnforcingWrapper
from pettingzoo.utils.conversions import parallel_to_aec_wrapper

from gridmem.envs.adapters.inputs import checked_action
from gridmem.envs.adapters.observations import observation_space
from gridmem.envs.adapters.simulator import RENDER_FPS, RENDER_MODES, Simulator, scene
from gridmem.envs.registry import make_for_adapter
from gridmem.envs.types import Tile


def env(env_id: str, **options: Any) -> AECEnv:
    """The same as `parallel_env`, in PettingZoo's AEC interface: agents act in turn.

    Args:
        env_id: one of the ids in the README.
        **options: those of `parallel_env`.

    Raises:
        ValueError: for an unknown id or option, or an invalid value; in `step`, for an action that
            is not 0..3, or not None when the episode is over.
    """
    return OrderEnforcingWrapper(_AECEnv(GridMemParallelEnv(env_id, **options)))


class _AECEnv(parallel_to_aec_wrapper):
    """The result of `pettingzoo.utils.parallel_to_aec`, but each action is checked at once."""

    def step(self, action: Any) -> None:
        """Takes the action of `agent_selection`.

        Raises:
            ValueError: if it is not 0..3, or not None when the episode is over.
        """
        agent = self.agent_selection
        if not (self.terminations[agent] or self.truncations[agent]):
            action = checked_action(action)
        elif action is not None:
            raise ValueError(
                f"the action of {agent} is {action!r}; its episode is over, and it must be None"
            )
        super().step(action)


class GridMemParallelEnv(Simulator, ParallelEnv[str, Any, np.int64 | None]):
    """A PettingZoo parallel environment: agents in one map, which act at once.

    Agents are named agent_0, agent_1, ...; all of them act in every step. The observation of an
    agent is its view, u8[V,V] tile ids (see `Tile`), itself at the centre, or with `observation`
    "dict" or "flat" also its last action and reward (see `observations.py`). Its action is an
    `Action` id. Its reward is 1.0 on entering a goal, else 0.0.

    The info of an agent has, from `reset` and `step`: `last_action` (int, 4 before the first
    action), `last_reward` (float), `visits` (int, its finds in this episode), `steps` (int, of
    this episode).

    Args:
        env_id: one of the ids in the README.
        render_mode: "human" (a window; needs gridmem[play]), "rgb_array", "rgb_array_list", "ansi"
            or None.
        observation: "view", "dict" or "flat".
        **overrides: options of `gridmem.make`, such as `num_agents`; `max_cycles` is
            PettingZoo's name for `max_steps`.

    Raises:
        ValueError: for an unknown id or option, or an invalid value.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (PettingZoo declares it so)
        "name": "gridmem_v0",
        "render_modes": RENDER_MODES,
        "render_fps": RENDER_FPS,
        "is_parallelizable": True,
    }

    def __init__(
        self,
        env_id: str,
        render_mode: str | None = None,
        observation: str = "view",
        **overrides: Any,
    ) -> None:
        core = make_for_adapter(env_id, **overrides)
        super().__init__(core, render_mode, observation)
        self.possible_agents = [f"agent_{i}" for i in range(core.num_agents)]
        self.agents: list[str] = []
        self.np_random = np.random.default_rng()  # for wrappers, such as SuperSuit's
        # Each has spaces of its own, so that seeding those of one agent does not seed the others.
        agents, format = self.possible_agents, self._format
        self.observation_spaces = {agent: observation_space(core, format) for agent in agents}
        self.action_spaces = {agent: spaces.Discrete(core.num_actions) for agent in agents}
        shape = core.config.map.height + 2, core.config.map.width + 2
        self.state_space = spaces.Box(0, len(Tile) - 1, shape, np.uint8)

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """The space of an agent's observation, the same object each time."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[np.int64 | None]:
        """The space of an agent's actions, the same object each time."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Begins an episode on the next level of the stream.

        Args:
            seed: starts the stream of levels of that seed; without it the stream continues.
            options: {"level": Level} plays that level and does not advance the stream; other
                options are ignored, as PettingZoo's interface demands.

        Raises:
            gymnasium.error.Error: for a seed that is not a Python int, 0 or more.
            ValueError: for a level that the environment cannot play.
        """
        if seed is None and self._key is None:
            seed = secrets.randbits(128)
        if seed is not None:
            self._seed(seed)
            self.np_random = np.random.default_rng(seed)
        observations, *_, infos = self._reset((options or {}).get("level"))
        self.agents = self.possible_agents[:]
        return self._by_agent(observations), self._by_agent(infos)

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict]]:
        """Takes one action of every agent; the class describes the results.

        Raises:
            ValueError: if the keys are not the agents, or an action is not 0..3.
            gymnasium.error.ResetNeeded: before the first reset and after an episode's end.
        """
        if self.agents and actions.keys() != set(self.agents):
            raise ValueError(
                f"actions are for {', '.join(map(str, actions)) or 'no agent'}; "
                f"there must be one for each of {', '.join(self.agents)}"
            )
        outputs = self._advance([checked_action(actions[a]) for a in self.agents])
        if not self._running:
            self.agents = []
        obs, rewards, terminations, truncations, infos = map(self._by_agent, outputs)
        return obs, rewards, terminations, truncations, infos

    def state(self) -> np.ndarray:
        """The present map, u8[H,W] tile ids, with the agents drawn in."""
        tiles, positions, _ = scene(self._require_state())
        tiles[positions[:, 0], positions[:, 1]] = Tile.AGENT
        return tiles

    def _by_agent(self, values: list[Any]) -> dict[str, Any]:
        return dict(zip(self.possible_agents, values, strict=True))


parallel_env = GridMemParallelEnv
"""PettingZoo's name for the function that makes an environment."""
