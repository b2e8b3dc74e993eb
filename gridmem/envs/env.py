"""The environment: combines levels, rules of movement, a task and views."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int32, Key

from gridmem.envs.checks import check_bool, check_whole_number, refuse_forks
from gridmem.envs.environment import Discrete, Ids, Numbers, Part
from gridmem.envs.maps import Map, NoiseMap, place
from gridmem.envs.rules import act
from gridmem.envs.tasks import NEVER_TERMINATE, Return, Task, next_spawn, present_goals
from gridmem.envs.types import Level, Observation, State, Tile, TimeStep, World
from gridmem.envs.views import compass, views

if TYPE_CHECKING:
    from gridmem.envs.analysis.episode_stats import Finds

NUM_ACTIONS = 4
NUM_SPAWNS = 256


@dataclass(frozen=True)
class EnvConfig:
    """The configuration of an environment. Hashable, so it can be a static argument of `jax.jit`.

    Attributes:
        map: the distribution that maps are drawn from.
        task: the rewards, the end of an episode, and where agents are moved.
        num_agents: agents in one map, A.
        view_size: side of an agent's square view in cells, odd and at least 3; with "full" the
            view covers the whole map from every cell.
        max_steps: steps after which an episode is truncated.
        dig_steps: steps that an agent is busy after it has dug out a rock; 0 makes rock permanent.
        compass: add the direction of the nearest goal to the observation. A control, which makes
            memory unnecessary.

    Raises:
        ValueError: for an invalid value.
    """

    map: Map = field(default_factory=NoiseMap)
    task: Task = field(default_factory=Return)
    num_agents: int = 1
    view_size: int | Literal["full"] = 5
    max_steps: int = 512
    dig_steps: int = 0
    compass: bool = False

    def __post_init__(self) -> None:
        for name, least in (("num_agents", 1), ("max_steps", 1), ("dig_steps", 0)):
            check_whole_number(name, getattr(self, name), least)
        check_bool("compass", self.compass)
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


@dataclass(frozen=True)
class Env:
    """A GridMem environment: pure functions of arrays, for `jax.jit`, `jax.vmap` and `lax.scan`.

    All arrays of a `TimeStep` lead with the agents, also with a single one (A = 1). All randomness
    of an episode is in its `Level`, so `step` takes no key. It does not reset either; a batch that
    does is `VectorEnv`.

    - Observation: an `Observation`: `view` u8[A,V,V] of `Tile` ids, the agent at the centre;
      `last_action` i32[A], 4 before the first action; `last_reward` f32[A]; `compass` f32[A,C].
    - Action: integers [A], ids of `Action`: 0 up, 1 right, 2 down, 3 left. All agents act at once.
    - Reward: f32[A], given by the task: 1 when an agent enters a goal, else 0.
    - Termination: decided by the task; never, with the tasks of this package.
    - Truncation: after `max_steps` steps.

    Attributes:
        config: the configuration.

    ```python
    env = gridmem.make("GridMem-v0")
    state, timestep = jax.jit(env.reset)(jax.random.key(0))
    state, timestep = jax.jit(env.step)(state, jnp.array([Action.UP]))
    ```
    """

    config: EnvConfig = field(default_factory=EnvConfig)

    @property
    def num_agents(self) -> int:
        """Agents in one environment, A."""
        return self.config.num_agents

    @property
    def num_actions(self) -> int:
        """Number of actions, 4; as a `last_action` the id 4 means "none yet"."""
        return NUM_ACTIONS

    @property
    def actions(self) -> Discrete:
        """The action space of an agent."""
        return Discrete(NUM_ACTIONS)

    @property
    def max_steps(self) -> int:
        """Steps of an episode."""
        return self.config.max_steps

    @property
    def mean_steps(self) -> int:
        """Steps of an episode, all of the same length."""
        return self.config.max_steps

    @property
    def has_fixed_length(self) -> bool:
        """Whether the task is known never to end an episode; never so of a derived class."""
        return type(self) is Env and type(self.config.task) in NEVER_TERMINATE

    @property
    def parts(self) -> tuple[Part, ...]:
        """What an observation consists of: the view, and the compass if there is one."""
        view = Ids("view", (self.view_size, self.view_size), len(Tile))
        return (view, Numbers("compass", (self.compass_size,))) if self.compass_size else (view,)

    @property
    def stats(self) -> "Finds":
        """How episodes are summarized: by their finds."""
        from gridmem.envs.analysis.episode_stats import Finds

        return Finds()

    @property
    def about(self) -> str:
        """The environment in a few words."""
        map_, side = self.config.map, self.view_size
        return (
            f"cave of {map_.height} x {map_.width} cells, view {side} x {side}, "
            f"{self.max_steps} steps, agents: {self.num_agents}"
        )

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

    def generate(
        self,
        key: Key[Array, ""],
        side: Int32[Array, ""] | None = None,
        distance: Int32[Array, ""] | None = None,
    ) -> Level:
        """Draws a level; the same key gives the same bits, vmapped or not, on any device.

        Args:
            key: source of all that is random in it.
            side: rows and columns of the cave, in a map of the usual size; less than 5 counts as 5.
                All of the map if not given. Only of a `NoiseMap`.
            distance: the most steps of a path from a spawn to the nearest goal, a rock counted as
                one; less than 1 counts as 1. Any if not given. Spawns that the map marks stay;
                where no floor is so near, spawns are anywhere.

        Raises:
            ValueError: for a `side` of another map.
            RuntimeError: in a process forked from one that had already used JAX, as do `start`
                and `step`.
        """
        refuse_forks()
        map_key, place_key = jax.random.split(key)
        map_ = self.config.map
        if side is None:
            tiles = map_.generate(map_key)
        elif isinstance(map_, NoiseMap):
            tiles = map_.generate(map_key, side)
        else:
            raise ValueError(f"side is of a NoiseMap, and the map is a {type(map_).__name__}")
        num_goals = self.config.task.num_goals
        return place(place_key, tiles, num_goals, NUM_SPAWNS, map_.goals, map_.spawns, distance)

    def start(self, level: Level) -> tuple[State, TimeStep]:
        """Begins an episode on a given level."""
        refuse_forks()
        num_agents = self.num_agents
        # Derived from the level, so that under `jax.shard_map` it varies as the level does, which a
        # scan's carry requires.
        zeros = jnp.zeros_like(level.spawns, shape=num_agents)
        world = World(
            tiles=level.tiles,
            position=next_spawn(level.spawns, zeros),
            busy=jnp.zeros_like(zeros),
        )
        state = State(
            world=world,
            goals=level.goals,
            spawns=level.spawns,
            task=self.config.task.init(level, num_agents),
            visits=zeros,
            last_action=jnp.full_like(zeros, NUM_ACTIONS),
            last_reward=jnp.zeros_like(zeros, jnp.float32),
            time=jnp.zeros_like(zeros, shape=()),
        )
        return state, self.observe(state, jnp.bool_(False))

    def reset(self, key: Key[Array, ""]) -> tuple[State, TimeStep]:
        """Begins an episode on a level drawn from the key."""
        return self.start(self.generate(key))

    def step(self, state: State, action: Any) -> tuple[State, TimeStep]:
        """Advances all agents by one action each.

        An action outside 0..3 does nothing. After its end an episode can be stepped further; every
        timestep is then truncated.

        Args:
            state: the current state.
            action: integers [A] of any dtype, an array or a list; for a single agent also a scalar.

        Raises:
            ValueError: when traced, if `action` is not one integer per agent.
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
        is_move = (action >= 0) & (action < NUM_ACTIONS)
        no_action = jnp.full_like(state.last_action, NUM_ACTIONS)
        action = jnp.where(is_move, action.astype(jnp.int32), no_action)
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
        """The timestep of a state; `terminated` is whether the task has ended the episode."""
        refuse_forks()
        each = (self.num_agents,)
        tiles, position = state.world.tiles, state.world.position
        view = views(tiles, position, self.view_size)
        direction = jnp.zeros_like(position, jnp.float32, shape=(*each, self.compass_size))
        if self.config.compass:
            side = max(self.config.map.height, self.config.map.width)
            direction = compass(position, state.goals, present_goals(tiles, state.goals), side)
        return TimeStep(
            obs=Observation(view, state.last_action, state.last_reward, direction),
            reward=state.last_reward,
            terminated=jnp.full_like(state.visits, terminated, bool),
            truncated=jnp.broadcast_to(state.time >= self.max_steps, each),
            time=jnp.broadcast_to(state.time, each),
        )
