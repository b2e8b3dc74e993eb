"""Recorded play in Minari's format, as arrays from which windows are cut."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32, Int32, Key, Num

from gridmem.baselines.model.windows import Window, part_dtype
from gridmem.envs.environment import Box, Discrete, EnvironmentSpec, Ids, Part
from gridmem.envs.registry import make_environment

_NOT_OPTIONS = "observation", "env_id", "render_mode"
FEW_EPISODES = 50
"""With fewer, results depend on which they are."""


class Rows(NamedTuple):
    """The steps of all episodes, and after each episode a row of its last observation.

    Leaves [M, ...], except for `ends`.
    """

    obs: dict[str, Array]
    action: Num[Array, "M *K"]  # i32[M], or f32[M, K] from -1 to 1; 0 in the last row of an episode
    reward: Float32[Array, " M"]
    terminated: Bool[Array, " M"]
    time: Int32[Array, " M"]
    return_to_go: Float32[Array, " M"]
    ends: Int32[Array, " N"]  # the rows with which windows may end


class Steps(NamedTuple):
    """What is known before an action, leaves [*batch, ...]."""

    obs: dict[str, Array]
    last_action: Num[Array, "*batch_K"]  # of a `Discrete` n, of a `Box` 0, before the first action
    last_reward: Float32[Array, "*batch"]
    return_to_go: Float32[Array, "*batch"]


class Windows(NamedTuple):
    """C steps of each of S windows, the last one at the end; see `Window`."""

    steps: Steps
    valid: Bool[Array, "S C"]
    action: Num[Array, "S C *K"]


@dataclass(frozen=True, eq=False)
class RecordedPlay:
    """A dataset. Equal to itself only.

    Attributes:
        name: Minari's id.
        rows: its arrays, of numpy; all steps may end a window.
        returns: of each episode, f32[E].
        lengths: of each episode, i32[E].
        scores: mean returns of random actions and of the best known agent; None if not known.
    """

    name: str
    rows: Rows
    returns: np.ndarray
    lengths: np.ndarray
    scores: tuple[float, float] | None

    def best(self, share: float) -> "RecordedPlay":
        """The share of the episodes with the highest returns; windows end in no others."""
        number = max(1, round(share * len(self.returns)))
        chosen = np.zeros(len(self.returns), bool)
        chosen[np.argsort(-self.returns, kind="stable")[:number]] = True
        rows = self.rows._replace(ends=np.asarray(self.rows.ends)[np.repeat(chosen, self.lengths)])
        return replace(self, rows=rows, returns=self.returns[chosen], lengths=self.lengths[chosen])

    def whole(self) -> "RecordedPlay":
        """The same; windows end where episodes do."""
        rows = self.rows._replace(ends=np.asarray(self.rows.ends)[np.cumsum(self.lengths) - 1])
        return replace(self, rows=rows)


def load_play(name: str, id: str, env: EnvironmentSpec) -> RecordedPlay:
    """Reads a dataset.

    Args:
        name: Minari's id.
        id: of the environment that is learned for.
        env: that environment; observations and actions must be its own.

    Raises:
        ValueError: if Minari or the dataset is missing, it cannot be read, has no episodes,
            numbers that are not finite or episodes with arrays of unequal lengths, or is of another
            environment.
    """
    if not name:
        raise ValueError("no dataset is named; give --dataset ID, or make one by collect")
    dataset = open_dataset(name)
    try:
        total, number = int(dataset.total_steps), int(dataset.total_episodes)
        if not number or not total:
            raise ValueError("it has no episodes")
        _check_environment(dataset, id, env)
        _check_spaces(dataset, env)
        return _read(name, dataset, env, total + number, number)
    except (KeyError, OSError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ValueError(f"the dataset {name} cannot be read ({reason})") from None
    except ValueError as error:
        raise ValueError(f"the dataset {name} cannot be used: {error}") from None


def open_dataset(name: str) -> Any:
    """Minari's object of a local dataset.

    Raises:
        ValueError: if Minari or the dataset is missing, or it cannot be opened.
    """
    try:
        import minari
    except ImportError:
        raise ValueError("Minari is missing; install gridmem[data]") from None
    try:
        return minari.load_dataset(name)
    except FileNotFoundError:
        raise ValueError(
            f"there is no dataset {name!r} here; `minari list local` shows those that there are, "
            "and `python -m gridmem.baselines.collect` makes some"
        ) from None
    except Exception as error:  # h5py and JSON have many
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ValueError(f"the dataset {name} cannot be opened ({reason})") from None


def environment_of(dataset: Any) -> tuple[str, dict[str, Any]]:
    """Id and options of what was played: those that `collect` wrote, else Gymnasium's.

    Raises:
        ValueError: if the dataset does not say.
    """
    if written := dataset.storage.metadata.get("gridmem"):
        options = json.loads(written)
        return options.pop("id"), options
    spec = dataset.env_spec
    if spec is None:
        raise ValueError(
            "the dataset does not say of which environment it is; use `python -m "
            "gridmem.baselines.train decision-transformer --dataset NAME --env-id ID`"
        )
    options = {key: value for key, value in spec.kwargs.items() if key not in _NOT_OPTIONS}
    return spec.id, options


def _check_environment(dataset: Any, id: str, env: EnvironmentSpec) -> None:
    """Raises ValueError if the dataset says that it is of another environment."""
    try:
        found, options = environment_of(dataset)
        other = make_environment(found, **options)
    except ValueError:
        return  # it does not say, or names an environment that is none here
    if (found, other) != (id, env):
        said = ", ".join(f"{key} {value}" for key, value in options.items())
        raise ValueError(
            f"it is of {found}{f' with {said}' if said else ''}, and the run is of {id}"
            f"{' with other options' if found == id else ''}"
        )


def _check_spaces(dataset: Any, env: EnvironmentSpec) -> None:
    """Raises ValueError unless observations and actions are those of the environment."""
    found = _spaces(dataset.observation_space)
    parts = {part.name: part.shape for part in env.parts}
    if len(parts) == 1 and not isinstance(found, dict):
        found = {next(iter(parts)): found}
    missing = {
        each: shape
        for each, shape in parts.items()
        if not isinstance(found, dict) or found.get(each) != shape
    }
    if missing:
        wanted = " and ".join(f"{each} {_by(shape)}" for each, shape in parts.items())
        has = (
            " and ".join(f"{each} {_by(shape)}" for each, shape in found.items())
            if isinstance(found, dict)
            else f"an array {_by(found)}"
        )
        raise ValueError(f"its observations are {has}, and the environment has {wanted}")
    space, actions = dataset.action_space, env.actions
    number = getattr(space, "n", None)
    if isinstance(actions, Discrete):
        fits = number == actions.n and getattr(space, "start", 0) == 0
    else:
        fits = getattr(space, "shape", None) == (len(actions.low),) and np.allclose(
            (space.low, space.high), (actions.low, actions.high)
        )
    if not fits:
        raise ValueError(f"its actions are {space}, and the environment has {actions}")


def _spaces(space: Any) -> Any:
    inner = getattr(space, "spaces", None)
    if isinstance(inner, Mapping):
        return {name: each.shape for name, each in inner.items()}
    return type(space).__name__ if space.shape is None else space.shape


def _by(shape: Any) -> str:
    return shape if isinstance(shape, str) else "x".join(map(str, shape)) or "1"


def _read(name: str, dataset: Any, env: EnvironmentSpec, total: int, number: int) -> RecordedPlay:
    """The arrays, filled episode by episode, so that no second copy of them is ever held."""
    actions, parts = env.actions, env.parts
    discrete = isinstance(actions, Discrete)
    obs = {part.name: np.zeros((total, *part.shape), _stored_dtype(part)) for part in parts}
    action = (
        np.zeros(total, np.int32) if discrete else np.zeros((total, len(actions.low)), np.float32)
    )
    reward, to_go = np.zeros(total, np.float32), np.zeros(total, np.float32)
    terminated, time = np.zeros(total, bool), np.zeros(total, np.int32)
    returns, lengths, begin = np.zeros(number, np.float32), np.zeros(number, np.int32), 0
    ends = np.zeros(total - number, np.int32)
    for which, episode in enumerate(dataset.iterate_episodes()):
        length = len(episode.rewards)
        end, seen = begin + length, episode.observations
        if end + 1 > total or which >= number:
            raise ValueError("it has more steps than it says")
        seen = seen if isinstance(seen, Mapping) else {parts[0].name: seen}
        observed = {len(seen[part.name]) for part in parts}
        if observed - {length + 1} or len(episode.actions) != length:
            raise ValueError(
                f"episode {which} has {length} rewards, {len(episode.actions)} actions and "
                f"{min(observed, default=0)} observations; of observations there must be one more"
            )
        if not 0 < length <= env.max_steps:
            raise ValueError(
                f"episode {which} has {length} steps, and an episode of the environment 1 to "
                f"{env.max_steps}"
            )
        for part in parts:
            values = np.reshape(seen[part.name], (length + 1, *part.shape))
            if isinstance(part, Ids) and not 0 <= values.min() <= values.max() < part.num_ids:
                raise ValueError(
                    f"its {part.name} has ids from {values.min()} to {values.max()}; they must be "
                    f"from 0 to {part.num_ids - 1}"
                )
            obs[part.name][begin : end + 1] = values
        action[begin:end] = _unit(actions, episode.actions)
        reward[begin:end], terminated[begin:end] = episode.rewards, episode.terminations
        time[begin : end + 1] = np.arange(length + 1)
        to_go[begin:end] = np.cumsum(np.asarray(episode.rewards, np.float64)[::-1])[::-1]
        returns[which], lengths[which] = to_go[begin], length
        ends[begin - which : end - which] = np.arange(begin, end)
        begin = end + 1
    if begin != total:
        raise ValueError("it has fewer steps than it says")
    for what, array in {"rewards": reward, "actions": action, **obs}.items():
        if array.dtype == np.float32 and not np.isfinite(array).all():
            raise ValueError(f"its {what} are not all finite numbers")
    arrays: Any = (obs, action, reward, terminated, time, to_go, ends)
    rows = Rows(*arrays)
    metadata = dataset.storage.metadata
    known = metadata.get("ref_min_score"), metadata.get("ref_max_score")
    scores = None if None in known else (float(known[0]), float(known[1]))
    return RecordedPlay(name, rows, returns, lengths, scores)


def _stored_dtype(part: Part) -> Any:
    """A small one: the ids of a view fit into bytes."""
    dtype = part_dtype(part)
    return np.int8 if dtype == jnp.int32 and isinstance(part, Ids) else dtype


def _unit(actions: Discrete | Box, given: Any) -> np.ndarray:
    """Actions as they are learned: ids, or coordinates from -1 to 1."""
    if isinstance(actions, Discrete):
        ids = np.asarray(given, np.int32)
        if not 0 <= ids.min() <= ids.max() < actions.n:
            raise ValueError(
                f"its actions are from {ids.min()} to {ids.max()}; they must be from 0 to "
                f"{actions.n - 1}"
            )
        return ids
    low, high = (np.asarray(each, np.float32) for each in (actions.low, actions.high))
    scaled = (np.asarray(given, np.float32).reshape(len(given), -1) - low) / (high - low) * 2 - 1
    return np.where(np.isfinite(scaled), np.clip(scaled, -1, 1), np.nan)


def cut(rows: Rows, actions: Discrete | Box, ends: Int32[Array, " S"], context: int) -> Windows:
    """The windows that end with these rows.

    Args:
        rows: the steps.
        actions: of the environment.
        ends: numbers of rows.
        context: steps of a window, C.
    """
    back = jnp.arange(context - 1, -1, -1, dtype=jnp.int32)[None]
    valid = back <= rows.time[ends][:, None]
    at = jnp.maximum(ends[:, None] - back, 0)
    begins, before = rows.time[at] == 0, jnp.maximum(at - 1, 0)
    last_action = rows.action[before]
    none = actions.n if isinstance(actions, Discrete) else 0
    mask = begins.reshape(*begins.shape, *[1] * (last_action.ndim - 2))
    steps = Steps(
        obs=_widened({name: leaf[at] for name, leaf in rows.obs.items()}),
        last_action=jnp.where(mask, jnp.asarray(none, last_action.dtype), last_action),
        last_reward=jnp.where(begins, 0, rows.reward[before]),
        return_to_go=rows.return_to_go[at],
    )
    return Windows(steps, valid, rows.action[at])


def draw(rows: Rows, key: Key[Array, ""], number: int) -> Int32[Array, " S"]:
    """Ends of windows, each with equal probability, with replacement."""
    return rows.ends[jax.random.randint(key, (number,), 0, len(rows.ends))]


def transitions(
    rows: Rows, ends: Int32[Array, " S"], context: int
) -> tuple[Window, Array, Array, Array, Window]:
    """Window, action, reward, end and next window of the steps with these rows; see `Batch`."""
    back = jnp.arange(context - 1, -1, -1, dtype=jnp.int32)[None]

    def window(last: Array) -> Window:
        at = jnp.maximum(last[:, None] - back, 0)
        obs = _widened({name: leaf[at] for name, leaf in rows.obs.items()})
        return Window(obs, back <= rows.time[last][:, None])

    return (
        window(ends),
        rows.action[ends],
        rows.reward[ends],
        rows.terminated[ends],
        window(ends + 1),
    )


def _widened(obs: dict[str, Array]) -> dict[str, Array]:
    """Ids as i32."""
    return {
        name: leaf.astype(jnp.int32) if leaf.dtype == jnp.int8 else leaf
        for name, leaf in obs.items()
    }


def described(play: Any, target: str = "auto") -> dict[str, str]:
    """Lines about data for the start of a run: topic -> text; none for an environment.

    There is a warning if there are few episodes, or the target is beyond their returns.
    """
    if not isinstance(play, RecordedPlay):
        return {}
    low, high = float(play.returns.min()), float(play.returns.max())
    lines = {
        "data": f"{play.name}: {len(play.returns):,} episodes, {play.lengths.sum():,} steps, "
        f"returns {low:.4g} to {high:.4g}, mean {play.returns.mean():.4g}"
    }
    found = []
    if len(play.returns) < FEW_EPISODES:
        found.append(
            f"with fewer than {FEW_EPISODES} episodes, what is learned depends on which they are"
        )
    if target != "auto" and not low <= float(target) <= high:
        found.append(
            f"the target {target} is outside of the data's returns, {low:.4g} to {high:.4g}"
        )
    return {**lines, "warning": "; ".join(found)} if found else lines
