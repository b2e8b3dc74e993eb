"""Controllers of the agents of an episode: a policy with its memory, or the oracle."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
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
        while len(self._decisions) <= time:
            number = len(self._decisions)
            if number % STEPS_BETWEEN_CARRIES == 0 and number:
                self._carries.append(self._carry)
            self._decisions.append(self._step(timesteps[number], number))
        return self._decisions[time]

    def truncate(self, num_timesteps: int) -> None:
        """See `Controller`."""
        if num_timesteps < len(self._decisions):
            kept = num_timesteps // STEPS_BETWEEN_CARRIES
            # The timesteps after the stored carry are observed again.
            del self._carries[kept + 1 :], self._decisions[kept * STEPS_BETWEEN_CARRIES :]
            self._carry = self._carries.pop() if kept else self._carries[0]

    def _step(self, timestep: TimeStep, time: int) -> Decision:
        output = self._act(self._carry, timestep, self._keys[time])
        self._carry = output.carry
        return Decision(*jax.device_get((output.action, output.extras)))


class OracleController:
    """Shortest paths to a goal on the current tiles, from wherever the agents are."""

    def __init__(self, env: Env) -> None:
        self._env = env
        self._decisions: dict[int, Decision] = {}
        self._distance: Array | None = None

    def decide(self, states: Sequence[State], timesteps: Sequence[TimeStep], time: int) -> Decision:
        """See `Controller`."""
        if time not in self._decisions:
            state = states[time]
            if self._distance is None or not paths_are_fixed(self._env):
                self._distance = _distances(self._env, state)
            action = _oracle_action(self._env, state, self._distance)
            self._decisions[time] = Decision(np.asarray(action), ())
        return self._decisions[time]

    def truncate(self, num_timesteps: int) -> None:
        """See `Controller`."""
        self._decisions = {t: kept for t, kept in self._decisions.items() if t < num_timesteps}
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
        if episode.env.num_agents > 1:
            actions = episode.decision(self.by_name[self.crowd]).action.copy()
        else:
            actions = np.zeros(1, np.int32)
        chosen = episode.decision(self.by_name[player]).action[focus] if action is None else action
        actions[focus] = chosen
        return actions

    def advice(self, episode: Episode) -> Decision | None:
        """What the trained agent would do; None without one."""
        return episode.decision(self.by_name[AGENT]) if AGENT in self.by_name else None


@partial(jax.jit, static_argnums=0)
def _distances(env: Env, state: State) -> Int32[Array, "H W"]:
    return distances(state.world.tiles, env.config.dig_steps)


@partial(jax.jit, static_argnums=0)
def _oracle_action(env: Env, state: State, distance: Int32[Array, "H W"]) -> Int32[Array, " A"]:
    return jnp.asarray(oracle_action(env, state, distance))
