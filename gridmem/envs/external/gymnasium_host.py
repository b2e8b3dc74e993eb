"""Environments of Gymnasium with continuous actions, stepped by Python."""

# MuJoCo is an extra.
# pyright: reportMissingImports=false

import warnings
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache
from importlib.util import find_spec
from keyword import iskeyword
from typing import Any

import gymnasium
import numpy as np
from jaxtyping import Bool

from gridmem.envs.analysis.episode_stats import Returns
from gridmem.envs.checks import check_whole_number, nearest
from gridmem.envs.environment import Box, Numbers
from gridmem.envs.types import TimeStep

MISSING = (
    "it needs the package mujoco: in a clone of GridMem use `uv run --extra control ...`, with pip "
    '`pip install "gymnasium[mujoco]" "mujoco==4.0.0"`'
)
OBSERVATION = "observation"  # name of the one part of an observation that is a Box
HIDDEN = {
    "velocity": ("qvel", "cvel", "ten_velocity"),
    "position": ("qpos", "cinert", "ten_length"),
}
"""What each value of `hide` leaves out, by its name in `observation_structure`."""


class GymnasiumHost:
    """A `gymnasium.Env` as a `HostEnvironment`, an episode at a time.

    Actions are a bounded `Box`, observations a Box, or a Dict of Boxes, each a part by its name.
    All are floating numbers, which become float32. Actions beyond their bounds are clipped, also
    in `last_action`. At the end of an episode `step` returns its true last observation, and the
    same timestep again however often it is called before `reset`. A step that terminates does not
    truncate. Calls at the same time are not safe.

    N environments are N of these. A `VectorEnv` steps all its episodes together and resets them by
    itself, so it cannot be one.

    Args:
        make: makes the environment, which is then nobody else's.
        hide: "velocity" or "position", to leave these numbers out of the observation; the
            environment must say which they are in `observation_structure`, as those of MuJoCo do.
        max_steps: the most steps of an episode; those of the environment if not given.
        about: the environment in a few words; its id if not given.

    Raises:
        ValueError: for an invalid value, or an environment that cannot be one.
    """

    num_agents = 1
    stats = Returns()

    def __init__(
        self,
        make: Callable[[], Any],
        hide: str | None = None,
        max_steps: int | None = None,
        about: str = "",
    ) -> None:
        if hide not in (None, *HIDDEN):
            raise ValueError(f"hide is {hide!r}; it must be 'velocity', 'position' or nothing")
        if max_steps is not None:
            check_whole_number("max_steps", max_steps, 1)
        self.env = _checked(make())
        self.actions = _bounds(self.env.action_space)
        boxes = _boxes(self.env.observation_space)
        self._shown = None if hide is None else _shown(self.env, hide)
        if self._shown is not None:
            boxes = {OBSERVATION: np.flatnonzero(self._shown)}
        self.parts = tuple(Numbers(name, box.shape) for name, box in boxes.items())
        self._observation = _observation_type(tuple(boxes))
        spec = self.env.spec
        limit = max_steps or (spec.max_episode_steps if spec else None)
        if limit is None:
            raise ValueError("its episodes have no limit of steps; give max_steps")
        self.max_steps = self.mean_steps = limit
        name = about or (spec.id if spec else type(self.env.unwrapped).__name__)
        hidden = f", {hide} hidden" if hide else ""
        self.about = f"{name} by Gymnasium{hidden}, {limit:,} steps"
        self._last: TimeStep | None = None

    def reset(self, seed: int) -> TimeStep:
        """Begins an episode, the same for the same seed."""
        obs, _ = self.env.reset(seed=int(seed))
        action = np.zeros((1, len(self.actions.low)), np.float32)
        return self._result(obs, action, 0.0, False, False, 0)

    def step(self, action: Any) -> TimeStep:
        """Advances by one action, f32[1,K].

        Raises:
            ValueError: for an action of another shape, or with a number that is not finite.
            RuntimeError: before `reset`.
        """
        if self._last is None:
            raise RuntimeError("step was called before reset")
        if self._last.done[0]:
            return self._last
        action, expected = np.asarray(action, np.float32), (1, len(self.actions.low))
        if action.shape != expected or not np.isfinite(action).all():
            raise ValueError(
                f"the action is {action.tolist()}; it must be finite numbers of the shape "
                f"{list(expected)}"
            )
        space: Any = self.env.action_space
        given = np.clip(action.reshape(space.shape).astype(space.dtype), space.low, space.high)
        action = given.reshape(expected).astype(np.float32)
        obs, reward, terminated, truncated, _ = self.env.step(given)
        time = int(self._last.time[0]) + 1
        late = (bool(truncated) or time >= self.max_steps) and not terminated
        return self._result(obs, action, float(reward), bool(terminated), late, time)

    def _result(
        self,
        obs: Any,
        action: np.ndarray,
        reward: float,
        terminated: bool,
        truncated: bool,
        time: int,
    ) -> TimeStep:
        named = obs if isinstance(obs, Mapping) else {OBSERVATION: obs}
        # Copies, because an environment may write into the array that it has returned.
        parts = {part.name: np.array(named[part.name], np.float32)[None] for part in self.parts}
        if self._shown is not None:
            parts = {OBSERVATION: parts[OBSERVATION][:, self._shown]}
        paid = np.array([reward], np.float32)
        fields: dict[str, Any] = {
            "obs": self._observation(**parts, last_action=action, last_reward=paid),
            "reward": paid,
            "terminated": np.array([terminated]),
            "truncated": np.array([truncated]),
            "time": np.array([time], np.int32),
        }
        self._last = TimeStep(**fields)
        return self._last


def gymnasium_env(
    name: str, /, hide: str | None = None, max_steps: int | None = None, **options: Any
) -> GymnasiumHost:
    """An environment of Gymnasium's registry.

    Args:
        name: its id there, or "module:id" to import a module that registers it first.
        hide: see `GymnasiumHost`.
        max_steps: the most steps of an episode, which replaces Gymnasium's limit.
        **options: arguments of the environment.

    Raises:
        ValueError: for an unknown id, a package that is not installed, or as `GymnasiumHost` does.
    """
    registered = gymnasium.registry.get(name)
    of_mujoco = registered and str(registered.entry_point).startswith("gymnasium.envs.mujoco")
    if of_mujoco and find_spec("mujoco") is None:
        raise ValueError(MISSING)

    def make() -> Any:
        with _without_notices() if of_mujoco else nullcontext():
            return gymnasium.make(name, max_episode_steps=max_steps, **options)

    try:
        return GymnasiumHost(make, hide, max_steps)
    except gymnasium.error.UnregisteredEnv:
        close = nearest(name, gymnasium.registry)
        raise ValueError(f"Gymnasium knows no environment {name!r}{close}") from None
    except (gymnasium.error.Error, ImportError) as error:
        raise ValueError(" ".join(str(error).split())) from error


@contextmanager
def _without_notices() -> Iterator[None]:
    """Where MuJoCo reads Gymnasium's models, of which it calls some attributes deprecated.

    It would print that, and write it to MUJOCO_LOG.TXT in the folder that one is in.
    """
    import mujoco

    bindings: Any = mujoco
    handler, messages = bindings.get_mju_user_warning(), []
    bindings.set_mju_user_warning(messages.append)
    try:
        yield
    finally:
        bindings.set_mju_user_warning(handler)
    for message in messages:
        if "deprecated" not in message:
            warnings.warn(message, RuntimeWarning, stacklevel=2)


def _checked(env: Any) -> gymnasium.Env:
    if isinstance(env, gymnasium.vector.VectorEnv):
        raise ValueError(
            f"it is a VectorEnv of {env.num_envs} environments, which steps all its episodes "
            "together; make one environment for each instead"
        )
    if not isinstance(env, gymnasium.Env):
        raise ValueError(f"it is {env!r}; it must be a gymnasium.Env")
    return env


def _bounds(space: Any) -> Box:
    if not _is_floating(space) or not space.is_bounded():
        raise ValueError(
            f"its actions are {_words(space)}; they must be a Box of floating numbers with finite "
            "bounds"
        )
    return Box(*(tuple(map(float, bound.reshape(-1))) for bound in (space.low, space.high)))


def _boxes(space: Any) -> dict[str, Any]:
    """The Boxes of an observation, by name."""
    is_dict = isinstance(space, gymnasium.spaces.Dict)
    boxes = dict(space.spaces) if is_dict else {OBSERVATION: space}
    for name, box in boxes.items():
        if not _is_floating(box):
            what = f"{name!r} of its observations is" if is_dict else "its observations are"
            raise ValueError(
                f"{what} {_words(box)}; observations must be a Box of floating numbers or a Dict "
                "of such Boxes, which gymnasium.wrappers.FlattenObservation makes of others"
            )
        taken = name.startswith("_") or iskeyword(name) or name in ("last_action", "last_reward")
        if taken or not name.isidentifier():
            raise ValueError(f"an observation cannot have a part of the name {name!r}")
    return boxes


def _is_floating(space: Any) -> bool:
    is_box = isinstance(space, gymnasium.spaces.Box)
    return is_box and np.issubdtype(space.dtype, np.floating)


def _words(space: Any) -> str:
    if not isinstance(space, gymnasium.spaces.Box):
        return f"a {type(space).__name__}"
    bounds = "" if space.is_bounded() else " without bounds"
    return f"a Box of {space.dtype}{list(space.shape)}{bounds}"


def _shown(env: gymnasium.Env, hide: str) -> Bool[np.ndarray, " D"]:
    """Which numbers of an observation are not hidden."""
    structure = getattr(env.unwrapped, "observation_structure", None) or {}
    sizes = {name: size for name, size in structure.items() if not name.startswith("skipped")}
    if not sizes or env.observation_space.shape != (sum(sizes.values()),):
        raise ValueError(
            "it does not say which of the numbers that it observes are positions or velocities "
            "(its observation_structure), so hide cannot be used"
        )
    shown = np.repeat([name not in HIDDEN[hide] for name in sizes], list(sizes.values()))
    if shown.all():
        raise ValueError(f"it observes no {hide} that could be hidden")
    if not shown.any():
        raise ValueError(f"without the {hide} nothing is left of its observations")
    return shown


@cache
def _observation_type(parts: tuple[str, ...]) -> Any:
    """A NamedTuple, the same for equal parts, as compiled functions ask for."""
    return namedtuple("GymnasiumObservation", [*parts, "last_action", "last_reward"])
