"""The environment: level -> rules -> task -> view. The only place where they meet."""

from dataclasses import dataclass, field
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Key

from gridmem.envs.forks import refuse_forks
from gridmem.envs.maps import Map, NoiseMap, place
from gridmem.envs.rules import act
from gridmem.envs.tasks import Return, Task, is_there, next_spawn
from gridmem.envs.types import Level, Observation, State, TimeStep, World
from gridmem.envs.views import compass, views

NUM_ACTIONS = 4
NUM_SPAWNS = 256


@dataclass(frozen=True)
class EnvConfig:
    """Everything that defines an environment. Checks itself; hashable, hence static under jit.

    Attributes:
        map: the distribution of caves.
        task: what pays.
        num_agents: agents that share a cave.
        view_size: side in cells of the square that an agent sees, odd; "full" shows the whole
            map wherever the agent stands.
        max_steps: actions after which an episode is truncated.
        dig_steps: actions that digging out one rock costs beyond the one that starts it; 0
            makes rock permanent.
        compass: tell each agent, beside its view, where the nearest goal is: a control.

    Raises:
        ValueError: for a value that cannot be.
    """

    map: Map = field(default_factory=NoiseMap)
    task: Task = field(default_factory=Return)
    num_agents: int = 1
    view_size: int | Literal["full"] = 5
    max_steps: int = 512
    dig_steps: int = 0
    compass: bool = False

    def __post_init__(self) -> None:
        _check_count("num_agents", self.num_agents, 1)
        _check_count("max_steps", self.max_steps, 1)
        _check_count("dig_steps", self.dig_steps, 0)
        if not isinstance(self.compass, bool):
            raise ValueError(f"compass is {self.compass!r}; it must be true or false")
        size = self.view_size
        if size != "full" and (not isinstance(size, int) or size < 3 or size % 2 == 0):
            raise ValueError(
                f"view_size is {size!r}; it must be an odd number of cells, 3 or more, so that "
                "the agent is at the centre, or 'full'"
            )
        if self.map.goals and len(self.map.goals) != self.task.num_goals:
            raise ValueError(
                f"the map marks {len(self.map.goals)} goals and the task has "
                f"{self.task.num_goals}; make them equal"
            )
        num_starts = max(self.num_agents, len(self.map.spawns))
        if self.map.min_free_cells < self.task.num_goals + num_starts:
            raise ValueError(
                f"the map may have no more than {self.map.min_free_cells} free cells, too few for "
                f"{self.task.num_goals} goals and {num_starts} agents or marked spawns; use a "
                "larger map"
            )


def _check_count(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number, {least} or more")


@dataclass(frozen=True)
class Env:
    """A GridMem environment: pure functions of arrays, for jit, vmap and scan.

    `step` neither resets nor draws anything: all randomness of an episode is in its `Level`.

    Attributes:
        config: what the environment is made of.
    """

    config: EnvConfig = field(default_factory=EnvConfig)

    @property
    def num_agents(self) -> int:
        """Agents in one environment: the length A of every leaf of a `TimeStep`."""
        return self.config.num_agents

    @property
    def num_actions(self) -> int:
        """Number of actions, 4; the id `num_actions` in an observation means "none yet"."""
        return NUM_ACTIONS

    @property
    def max_steps(self) -> int:
        """Actions in an episode."""
        return self.config.max_steps

    @property
    def view_size(self) -> int:
        """Side of the view in cells."""
        if self.config.view_size == "full":
            return 2 * max(self.config.map.height, self.config.map.width) - 1
        return self.config.view_size

    @property
    def compass_size(self) -> int:
        """Length of the compass in an observation: 2, or 0 without one."""
        return 2 if self.config.compass else 0

    def generate(self, key: Key[Array, ""]) -> Level:
        """Draws a level: the same bits whether single or batched, on any device."""
        refuse_forks()
        map_key, place_key = jax.random.split(key)
        map_ = self.config.map
        tiles = map_.generate(map_key)
        return place(
            place_key, tiles, self.config.task.num_goals, NUM_SPAWNS, map_.goals, map_.spawns
        )

    def start(self, level: Level) -> tuple[State, TimeStep]:
        """Begins an episode on a given level."""
        refuse_forks()
        num_agents = self.num_agents
        # Of the level's type, so that under `jax.shard_map` a scan can carry it.
        none = jnp.zeros_like(level.spawns, shape=num_agents)
        world = World(
            tiles=level.tiles,
            position=next_spawn(level.spawns, none),
            busy=jnp.zeros_like(none),
        )
        state = State(
            world=world,
            goals=level.goals,
            spawns=level.spawns,
            task=self.config.task.init(level, num_agents),
            visits=none,
            last_action=jnp.full_like(none, NUM_ACTIONS),
            last_reward=jnp.zeros_like(none, jnp.float32),
            time=jnp.zeros_like(none, shape=()),
        )
        return state, self.observe(state, jnp.bool_(False))

    def reset(self, key: Key[Array, ""]) -> tuple[State, TimeStep]:
        """Begins an episode on a level drawn from the key."""
        return self.start(self.generate(key))

    def step(self, state: State, action: Any) -> tuple[State, TimeStep]:
        """Advances all agents by one action each.

        An action outside 0..3 leaves its agent where it is. Stepping past the end of an episode
        goes on in the same cave and is reported as truncated every time.

        Args:
            state: where the environment is.
            action: whole numbers [A] of any dtype, an array or a list; a lone agent's also as one
                number, [].

        Raises:
            ValueError: when traced, if `action` is not one whole number per agent.
        """
        refuse_forks()
        action = jnp.asarray(action)
        if self.num_agents == 1 and action.ndim == 0:
            action = action[None]
        if action.shape != (self.num_agents,) or not jnp.issubdtype(action.dtype, jnp.integer):
            raise ValueError(
                f"action is {action.dtype}{list(action.shape)}; it must be one whole number for "
                f"each agent, int32[{self.num_agents}] (use jax.vmap over many environments)"
            )
        known = (action >= 0) & (action < NUM_ACTIONS)
        none = jnp.full_like(state.last_action, NUM_ACTIONS)
        action = jnp.where(known, action.astype(jnp.int32), none)
        world, event = act(state.world, action, self.config.dig_steps)
        outcome = self.config.task.step(state, world, event)
        state = state._replace(
            world=outcome.world,
            goals=outcome.goals,
            task=outcome.task,
            visits=outcome.visits,
            last_action=action,
            last_reward=outcome.reward,
            time=state.time + 1,
        )
        return state, self.observe(state, outcome.terminated)

    def observe(self, state: State, terminated: Bool[Array, ""]) -> TimeStep:
        """What agents are told of a state; `terminated` is whether the task has ended."""
        each = (self.num_agents,)
        tiles, position = state.world.tiles, state.world.position
        view = views(tiles, position, self.view_size)
        told = jnp.zeros_like(position, jnp.float32, shape=(self.num_agents, self.compass_size))
        if self.config.compass:
            side = max(self.config.map.height, self.config.map.width)
            told = compass(position, state.goals, is_there(tiles, state.goals), side)
        return TimeStep(
            obs=Observation(view, state.last_action, state.last_reward, told),
            reward=state.last_reward,
            terminated=jnp.full_like(state.visits, terminated, bool),
            truncated=jnp.broadcast_to(state.time >= self.max_steps, each),
            time=jnp.broadcast_to(state.time, each),
        )
