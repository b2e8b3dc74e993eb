"""A Gymnasium wrapper that records the memory metrics of each episode."""

from typing import Any

import gymnasium
import jax
import numpy as np
from gymnasium import error
from gymnasium.utils import RecordConstructorArgs

from gridmem.envs.adapters.gymnasium_env import GridMemEnv
from gridmem.envs.adapters.simulator import cpu_device
from gridmem.envs.analysis.metrics import EpisodeMetrics, measure, summary


class RecordMetrics(gymnasium.Wrapper, RecordConstructorArgs):
    """Computes the metrics of each episode when it ends, by replaying its actions.

    The last `info` of an episode has them in `metrics`: the fields of `EpisodeMetrics` as Python
    numbers. Works with any id and options, and with other wrappers, except for wrappers inside it
    that take several steps per step, such as a frame skip. In a batch:
    `gymnasium.make_vec(id, n, vectorization_mode="sync", wrappers=[gridmem.RecordMetrics])`.

    Attributes:
        episodes: the metrics of all episodes that ended, in order.

    Args:
        env: a GridMem environment.

    Raises:
        ValueError: if it is another one.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        inner: Any = getattr(env, "unwrapped", env)
        if isinstance(inner, gymnasium.vector.VectorEnv):
            raise ValueError(
                f"RecordMetrics measures one environment, and this is a {type(inner).__name__}; "
                "use make_vec(id, n, vectorization_mode='sync', wrappers=[gridmem.RecordMetrics])"
            )
        if not isinstance(inner, GridMemEnv):
            raise ValueError(
                f"RecordMetrics measures GridMem environments, and this is a {type(inner).__name__}"
            )
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        self._inner = inner
        self._actions: list[int] = []
        self.episodes: list[dict[str, float]] = []

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Begins an episode; one that has not ended is not counted."""
        self._actions = []
        return super().reset(**kwargs)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Takes one action; `info` has `metrics` when the episode ends.

        Raises:
            gymnasium.error.ResetNeeded: if the environment took steps that this wrapper did not
                see, because of a wrapper inside it or an interrupted step.
        """
        obs, reward, terminated, truncated, info = super().step(action)
        if info["steps"]:
            self._actions.append(info["last_action"])  # the action after all wrappers
        else:  # the wrapper Autoreset began an episode
            self._actions = []
        if info["steps"] != len(self._actions):
            raise error.ResetNeeded(
                f"the environment took {info['steps']} steps, of which RecordMetrics saw "
                f"{len(self._actions)}; put it below wrappers that take several steps for one, "
                "and reset after an interrupted step"
            )
        if terminated or truncated:
            info["metrics"] = self._metrics()
            self.episodes.append(info["metrics"])
        return obs, float(reward), terminated, truncated, info

    def summary(self) -> dict[str, float | None]:
        """The means over all episodes, and the memory gain; see `gridmem.summary`.

        Raises:
            ValueError: if no episode has ended.
        """
        if not self.episodes:
            raise ValueError("no episode has been played to its end yet")
        columns = jax.tree.map(lambda *each: np.array(each)[:, None], *self.episodes)
        return summary(EpisodeMetrics(**columns))

    def _metrics(self) -> dict[str, float]:
        level = jax.tree.map(lambda leaf: leaf[None], self._inner.level)
        actions = np.array(self._actions, np.int32).reshape(1, -1, 1)
        with jax.default_device(cpu_device()):
            metrics = measure(self._inner.core, level, actions)
        return {name: leaf.item() for name, leaf in jax.device_get(metrics)._asdict().items()}
