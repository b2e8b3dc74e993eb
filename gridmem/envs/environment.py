"""What a trainer has to know about an environment: a protocol, action spaces, and observations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from gridmem.envs.checks import check_whole_number
from gridmem.envs.types import TimeStep


@dataclass(frozen=True)
class Discrete:
    """Actions 0 to n - 1, i32[A]. As a `last_action`, n stands for "no action yet".

    Attributes:
        n: number of actions.
    """

    n: int


@dataclass(frozen=True)
class Box:
    """Actions f32[A, K], coordinate k from low[k] to high[k]. The first `last_action` is 0.

    Attributes:
        low: K finite numbers.
        high: K finite numbers.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Ids:
    """A part of an observation: each cell has one of several ids. Integers [A, *shape].

    Attributes:
        name: the field of the observation.
        shape: of one agent's cells.
        num_ids: ids are 0 to `num_ids` - 1.
    """

    name: str
    shape: tuple[int, ...]
    num_ids: int


@dataclass(frozen=True)
class PackedIds:
    """A part of an observation: each cell has an id of each of K kinds, or none, in one integer.

    With n = `num_ids` the integer is d[0] + (n[0] + 1) * (d[1] + (n[1] + 1) * (d[2] + ...)), where
    d[k] is 0 for none and i + 1 for id i of kind k. Integers [A, *shape].

    Attributes:
        name: the field of the observation.
        shape: of one agent's cells.
        num_ids: the number of ids of each kind.
    """

    name: str
    shape: tuple[int, ...]
    num_ids: tuple[int, ...]

    def unpacked(self, x: Any) -> list[Array]:
        """The ids of each kind, [*batch, *shape]; -1 for none."""
        x, digits = jnp.asarray(x, jnp.int32), []
        for number in self.num_ids:
            digits.append(x % (number + 1) - 1)
            x = x // (number + 1)
        return digits


@dataclass(frozen=True)
class Bits:
    """A part of an observation: true or false. bool[A, *shape].

    Attributes:
        name: the field of the observation.
        shape: of one agent's values.
    """

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Counts:
    """A part of an observation: whole numbers; the network sees them divided by `scale`.

    Integers [A, *shape].

    Attributes:
        name: the field of the observation.
        shape: of one agent's values.
        scale: what they are divided by.
        root: take the square root first.
    """

    name: str
    shape: tuple[int, ...]
    scale: float
    root: bool = False


@dataclass(frozen=True)
class Numbers:
    """A part of an observation: numbers of about unit scale. f32[A, *shape], or f16.

    Attributes:
        name: the field of the observation.
        shape: of one agent's values.
    """

    name: str
    shape: tuple[int, ...]


Part = Ids | PackedIds | Bits | Counts | Numbers
_LAST = "last_action", "last_reward"
_KINDS: dict[type, Any] = {
    Ids: jnp.integer,
    PackedIds: jnp.integer,
    Bits: jnp.bool_,
    Counts: jnp.integer,
    Numbers: jnp.floating,
}


class Column(NamedTuple):
    """A metric of an update, and how it is shown.

    Attributes:
        name: in `metrics.jsonl`.
        heading: in tables and in the progress of a run; empty to be in neither.
        digits: after the decimal point.
        axis: label of its learning curve; empty for none.
        reference: where its curve has a horizontal line.
        counted_by: metric that says how many episodes it is computed from; empty for none.
        least: of that metric; below, the column is not shown.
    """

    name: str
    heading: str
    digits: int = 2
    axis: str = ""
    reference: float | None = None
    counted_by: str = ""
    least: int = 0


@runtime_checkable
class EpisodeStatistics(Protocol):
    """How the episodes of a rollout are summarized. Hashable.

    Rollouts have T steps of B streams; a row that is not valid is a reset, and stands between two
    episodes. Metrics are means over the episodes that ended, by name, f32[]; `num_episodes` is
    their number.
    """

    @property
    def columns(self) -> tuple[Column, ...]:
        """The metrics that exist only if an episode ended."""
        ...

    def init(self, num_streams: int) -> Any:
        """The accumulator before the first step, leaves [B, ...]."""
        ...

    def add(self, accumulator: Any, rollout: Any) -> tuple[Any, dict[str, Array]]:
        """Adds a rollout that may begin and end within episodes; the metrics of those that end."""
        ...

    def whole(self, rollout: Any) -> dict[str, Array]:
        """The metrics of a rollout of one whole episode in each stream."""
        ...

    def episodes(self, accumulator: Any) -> dict[str, Array]:
        """Numbers [B] about the episode of each stream so far; "episode_return" is one of them."""
        ...

    def derived(self, means: Mapping[str, Any]) -> dict[str, Any]:
        """Metrics that follow from the means of these numbers over episodes, such as a score."""
        ...


@runtime_checkable
class EnvironmentSpec(Protocol):
    """What a trainer reads of any environment."""

    @property
    def num_agents(self) -> int:
        """Agents in one environment, A."""
        ...

    @property
    def actions(self) -> Discrete | Box:
        """The action space of an agent."""
        ...

    @property
    def max_steps(self) -> int:
        """The most steps of an episode."""
        ...

    @property
    def mean_steps(self) -> int:
        """The approximate mean length of an episode: of N, N / mean_steps are reset at a time."""
        ...

    @property
    def parts(self) -> tuple[Part, ...]:
        """What an observation consists of, beside `last_action` and `last_reward`."""
        ...

    @property
    def stats(self) -> EpisodeStatistics:
        """How episodes are summarized: `gridmem.Returns()`, or one's own."""
        ...

    @property
    def about(self) -> str:
        """The environment in a few words."""
        ...


@runtime_checkable
class Environment(EnvironmentSpec, Protocol):
    """A JAX environment with A agents: pure functions, hashable, static under `jax.jit`.

    All randomness of an episode is in its level or its state, so that `step` takes no key. A level
    is any tree of arrays, so is a state. Every leaf of a `TimeStep` leads with the agents, whose
    episodes end together; `obs` is a NamedTuple with a field for each of `parts`, and
    `last_action` and `last_reward`; `time` is 0 at the start of an episode.

    It may also have `evaluation_levels(num_levels)`, levels [N, ...] that training never draws;
    `evaluation_steps`, the most steps of an episode that evaluations play; `has_fixed_length`, true
    if every episode takes `max_steps` (otherwise rollouts give wrong observations);
    `compiles_slowly`, true if its programs take minutes to compile; and `frame(state)`, a picture
    u8[H, W, 3] of an environment, for which it may use the host.
    """

    def generate(self, key: Key[Array, ""]) -> Any:
        """Draws a level."""
        ...

    def start(self, level: Any) -> tuple[Any, TimeStep]:
        """Begins an episode on a level."""
        ...

    def reset(self, key: Key[Array, ""]) -> tuple[Any, TimeStep]:
        """`start(generate(key))`."""
        ...

    def step(self, state: Any, action: Any) -> tuple[Any, TimeStep]:
        """Advances all agents by one action each, i32[A] or f32[A, K]."""
        ...


@runtime_checkable
class HostEnvironment(EnvironmentSpec, Protocol):
    """An environment that Python steps, for methods that can: one episode at a time.

    Its timesteps are those of an `Environment`, in numpy. Each run and each seed has its own.
    """

    def reset(self, seed: int) -> TimeStep:
        """Begins an episode, the same for the same seed."""
        ...

    def step(self, action: Any) -> TimeStep:
        """Advances all agents by one action each, i32[A] or f32[A, K]; at its end it stays."""
        ...


def is_on_host(env: Any) -> bool:
    """Whether it is a `HostEnvironment`."""
    return not hasattr(env, "generate")


_MEMBERS: dict[str, Any] = {
    "actions": Discrete | Box,
    "parts": tuple,
    "stats": EpisodeStatistics,
    "about": str,
}
_CHECKED: set[Any] = set()


def check_environment(id: str, env: Any) -> Any:
    """Checks that an environment keeps to its protocol, by tracing its functions once.

    Raises:
        ValueError: if it does not, with the first difference.
    """
    what = f"the environment {id!r} ({type(env).__name__})"
    own = vars(HostEnvironment) if is_on_host(env) else vars(Environment)
    names = [name for name in {**vars(EnvironmentSpec), **own} if not name.startswith("_")]
    missing = [name for name in names if not hasattr(env, name)]
    if missing:
        raise ValueError(f"{what} has no {missing[0]!r}; docs/extending.md lists what it must have")
    try:
        if env in _CHECKED:
            return env
    except TypeError:
        raise ValueError(f"{what} is not hashable; make it a frozen dataclass") from None
    for name in ("num_agents", "max_steps", "mean_steps"):
        try:
            check_whole_number(name, getattr(env, name), 1)
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None
    for name, kind in _MEMBERS.items():
        value = getattr(env, name)
        if not isinstance(value, kind) or isinstance(value, type):
            words = getattr(kind, "__name__", "Discrete or Box")
            raise ValueError(f"{what} has the {name} {value!r}; they must be a {words}")
    if is_on_host(env):
        _check_timestep(what, env, env.reset(0))
        return env
    try:
        state, first = jax.eval_shape(env.reset, jax.eval_shape(lambda: jax.random.key(0)))
        following = jax.eval_shape(env.step, state, _last_action(env))
    except Exception as error:  # whatever its code raises
        reason = (str(error).splitlines() or [""])[0]
        raise ValueError(f"{what} cannot be traced ({type(error).__name__}: {reason})") from error
    _check_timestep(what, env, first)
    if _shapes(following) != _shapes((state, first)):
        raise ValueError(
            f"{what} returns other shapes or dtypes from step than from reset, which a loop of "
            f"steps cannot carry: {_shapes(following)} instead of {_shapes((state, first))}"
        )
    _CHECKED.add(env)
    return env


def _check_timestep(what: str, env: EnvironmentSpec, timestep: Any) -> None:
    if not isinstance(timestep, TimeStep):
        raise ValueError(
            f"{what} returns a {type(timestep).__name__} from reset; it must be a gridmem.TimeStep"
        )
    fields = getattr(timestep.obs, "_fields", ())
    parts = {part.name: part for part in env.parts if type(part) in _KINDS}
    if len(parts) < len(env.parts):
        raise ValueError(
            f"{what} has the parts {env.parts!r}; each must be an Ids, PackedIds, Bits, Counts or "
            "Numbers, with a name of its own"
        )
    if set(fields) != {*parts, *_LAST} or set(parts) & set(_LAST):
        raise ValueError(
            f"{what} has observations with the fields {', '.join(fields) or 'none'}; by its parts "
            f"they must be {', '.join([*parts, *_LAST])}"
        )
    of_agents, action = (env.num_agents,), _last_action(env)
    action_kind = jnp.floating if isinstance(env.actions, Box) else jnp.integer
    expected = {
        **{name: ((*of_agents, *each.shape), _KINDS[type(each)]) for name, each in parts.items()},
        "last_action": (action.shape, action_kind),
        "last_reward": (of_agents, jnp.floating),
        "reward": (of_agents, jnp.floating),
        "terminated": (of_agents, jnp.bool_),
        "truncated": (of_agents, jnp.bool_),
        "time": (of_agents, jnp.integer),
    }
    for name, (shape, kind) in expected.items():
        leaf = getattr(timestep.obs if name in fields else timestep, name)
        if leaf.shape != shape or not jnp.issubdtype(leaf.dtype, kind):
            raise ValueError(
                f"{what} returns {name} as {leaf.dtype}{list(leaf.shape)}; it must be "
                f"{kind.__name__}{list(shape)}"
            )


def _last_action(env: EnvironmentSpec) -> jax.ShapeDtypeStruct:
    if isinstance(env.actions, Box):
        return jax.ShapeDtypeStruct((env.num_agents, len(env.actions.low)), jnp.float32)
    return jax.ShapeDtypeStruct((env.num_agents,), jnp.int32)


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", tree)


HOST_SEED = 2**31
"""The first seed of an evaluation on a `HostEnvironment`."""
EVALUATION_KEY_DATA = (0x6772_6964, 0x6D65_6D30)
"""Key data of the levels for evaluation, where none are stored.

Not the root key of any seed: those have 0 for their first word. A key derived from a seed equals
one derived from this with a probability of about 2**-64.
"""


def evaluation_keys(
    key_data: tuple[int, int] = EVALUATION_KEY_DATA,
) -> tuple[Key[Array, ""], Key[Array, ""]]:
    """The key of levels that no training run draws, and one to play them with."""
    data = jnp.array(key_data, jnp.uint32)
    level_key, play_key = jax.random.split(jax.random.wrap_key_data(data, impl="threefry2x32"))
    return level_key, play_key


def draw_levels(
    generate: Callable[[Key[Array, ""]], Any],
    num_levels: int,
    key_data: tuple[int, int] = EVALUATION_KEY_DATA,
) -> tuple[Any, Key[Array, ""]]:
    """Levels that no training run draws, leaves [N, ...], and a key to play them with.

    Args:
        generate: that of an environment.
        num_levels: N.
        key_data: of the threefry key that they are derived from.
    """
    level_key, play_key = evaluation_keys(key_data)
    return jax.vmap(generate)(jax.random.split(level_key, num_levels)), play_key


def num_levels(levels: Any) -> int:
    """N of levels with leaves [N, ...]."""
    return int(np.shape(jax.tree.leaves(levels)[0])[0])
