"""Controllers of the agents of an episode: a policy with its memory, or the oracle."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Int32

from gridmem.envs.analysis.oracle import oracle_action
from gridmem.envs.analysis.shortest_paths import distances, paths_are_fixed
from gridmem.envs.batch.policy import Policy
from gridmem.envs.env import Env
from gridmem.envs.types import State, TimeStep
from gridmem.render.player.episode import Controller, Decision, Episode

YOU, AGENT, ORACLE = "you", "agent", "oracle"
STEPS_BETWEEN_CARRIES = 16  # of the stored ones: more of them take memory, fewer take time
_distances = jax.jit(distances, static_argnums=1)
_oracle_action = jax.jit(oracle_action, static_argnums=0)


class PolicyController:
    """A policy that observes every timestep of an episode, even if it does not act.

    Its random key belongs to the timestep, so that a replayed episode has the same choices. Its
    carry is stored every few steps, so that it can be restored at any time.
    """

    def __init__(self, env: Env, policy: Policy, seed: int = 0) -> None:
        self._act = jax.jit(policy.act)
        # Of its final size from the start: another size would compile another program.
        self._carries = [policy.grow(policy.init(env.num_agents), env.max_steps + 1)]
        self._carry = self._carries[0]
        self._keys = jax.random.split(jax.random.key(seed), env.max_steps + 1)
        self._decisions: list[Decision] = []

    def decide(self, states: Sequence[State], timesteps: Sequence[TimeStep], time: int) -> Decision:
        """See `Controller`."""
        while (number := len(self._decisions)) <= time:
            if number % STEPS_BETWEEN_CARRIES == 0 and number:
                self._carries.append(self._carry)
            output = self._act(self._carry, timesteps[number], self._keys[number])
            self._carry = output.carry
            self._decisions.append(Decision(*jax.device_get((output.action, output.extras))))
        return self._decisions[time]

    def truncate(self, num_timesteps: int) -> None:
        """See `Controller`."""
        if num_timesteps < len(self._decisions):
            kept = num_timesteps // STEPS_BETWEEN_CARRIES
            # The timesteps after the stored carry are observed again.
            del self._carries[kept + 1 :], self._decisions[kept * STEPS_BETWEEN_CARRIES :]
            self._carry = self._carries.pop() if kept else self._carries[0]


class OracleController:
    """Shortest paths to a goal on the current tiles, from wherever the agents are."""

    def __init__(self, env: Env) -> None:
        self._env = env
        self._distance: Array | None = None

    def decide(self, states: Sequence[State], timesteps: Sequence[TimeStep], time: int) -> Decision:
        """See `Controller`."""
        if self._distance is None or not paths_are_fixed(self._env):
            tiles = states[time].world.tiles
            self._distance = _distances(tiles, self._env.config.dig_steps)
        action = _oracle_action(self._env, states[time], self._distance)
        return Decision(np.asarray(action), ())

    def truncate(self, num_timesteps: int) -> None:
        """See `Controller`."""
        if not num_timesteps:
            self._distance = None  # of another level


class Controllers(NamedTuple):
    """The controllers of a game, and who plays at first.

    Attributes:
        by_name: all of them; `AGENT` is the trained agent.
        player: who moves the agent in focus at first: `YOU` or a name of `by_name`.
        crowd: who moves the other agents: a name of `by_name`.
        shows_advice: whether the trained agent's outputs are shown from the start; if not, only
            after it has been asked to play.
    """

    by_name: Mapping[str, Controller]
    player: str
    crowd: str
    shows_advice: bool = True

    def actions(
        self, episode: Episode, focus: int, player: str, action: int | None
    ) -> Int32[np.ndarray, " A"]:
        """The next actions of all agents.

        Args:
            episode: at the viewed time.
            focus: the agent in focus.
            player: who moves it.
            action: its action if a person chose it, else None.
        """
        actions = np.zeros(episode.env.num_agents, np.int32)
        if len(actions) > 1:
            actions = episode.decision(self.by_name[self.crowd]).action.copy()
        chosen = episode.decision(self.by_name[player]).action[focus] if action is None else action
        actions[focus] = chosen
        return actions

    def advice(self, episode: Episode) -> Decision | None:
        """What the trained agent would do; None without one."""
        return episode.decision(self.by_name[AGENT]) if AGENT in self.by_name else None
