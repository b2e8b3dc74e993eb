"""The settings of the methods that learn from recorded play."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from gridmem.baselines.method import MethodConfig, Stage
from gridmem.baselines.offpolicy.settings import TD3Config
from gridmem.baselines.setting_types import check_positive, check_types
from gridmem.envs.environment import Box, Column

if TYPE_CHECKING:
    from gridmem.baselines.config import TrainConfig

AlgorithmName = Literal["dt", "bc", "bc10"]
AUTO = "auto"
_OF_PLAYING = (
    *("buffer", "learning_starts", "num_envs", "exploration_noise"),
    *("stage1_steps", "stage2_buffer", "stage2_learning_rate"),
)


@dataclass(frozen=True)
class DecisionTransformerConfig(MethodConfig):
    """The Decision Transformer (Chen et al. 2021), and behavior cloning by its network."""

    sections: ClassVar[Sequence[str]] = ("model", "optimizer")
    step_kind: ClassVar[str] = "recorded"

    dataset: str = ""
    """Id of the dataset, as Minari knows it; `gridmem.baselines.collect` makes some."""
    algorithm: AlgorithmName = "dt"
    """Decision Transformer, behavior cloning, or 10 % behavior cloning."""
    tokens: int = 3
    """Tokens of a step: 3 for last action, return to go and observation; 1 for their sum."""
    target: str = AUTO
    """Target return; auto is at each step what the predictor says, an expectile of the data's
    returns to go."""
    expectile: float = 0.95
    """Expectile of the returns to go that the predictor learns."""
    context: int = 20
    """Steps that the agent sees, the present one included."""
    batch_size: int = 64
    """Windows of a gradient step."""
    update_steps: int = 100
    """Gradient steps between two rows of metrics."""

    def __post_init__(self) -> None:
        check_types(self)
        check_positive(self, "context", "batch_size", "update_steps")
        if self.tokens not in (1, 3):
            raise ValueError(f"tokens is {self.tokens}; it must be 1 or 3")
        if not 0.5 <= self.expectile < 1:
            raise ValueError(f"expectile is {self.expectile}; it must be from 0.5 to below 1")
        check_target(self.target)

    @property
    def conditioned(self) -> bool:
        """Whether actions depend on a target return."""
        return self.algorithm == "dt"

    def check(self, config: "TrainConfig") -> None:
        """See `MethodConfig`."""
        check_context(self.context, config)

    def steps_per_update(self, env: Any) -> int:
        """See `MethodConfig`."""
        return self.update_steps * self.batch_size * self.context

    def columns(self, env: Any) -> tuple[Column, ...]:
        """See `MethodConfig`."""
        return (Column("loss", "loss", 3, "loss of the actions"),)


@dataclass(frozen=True)
class TD3BCConfig(TD3Config):
    """TD3+BC: TD3 on recorded play, with behavior cloning (Fujimoto & Gu 2021)."""

    step_kind: ClassVar[str] = "recorded"

    dataset: str = ""
    """Id of the dataset, as Minari knows it; `gridmem.baselines.collect` makes some."""
    update_steps: int = 500
    """Gradient steps between two rows of metrics."""
    alpha: float = 2.5
    """Weight of the values against behavior cloning."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "alpha")
        for each in fields(TD3Config):
            if each.name in _OF_PLAYING and getattr(self, each.name) != each.default:
                raise ValueError(f"{each.name} is for agents that play, and td3bc learns from data")

    def check(self, config: "TrainConfig") -> None:
        """See `MethodConfig`."""
        if not isinstance(config.make_env().actions, Box):
            raise ValueError(
                f"{config.env.env_id} has the actions {config.make_env().actions}, and td3bc needs "
                "continuous actions in a bounded box; use --algorithm dt, bc or bc10"
            )
        check_context(self.context, config)
        if self.update_steps % self.actor_delay:
            raise ValueError(f"update_steps is {self.update_steps}; it must be even")

    def steps_per_update(self, env: Any) -> int:
        """See `MethodConfig`; a gradient step learns from a batch."""
        return self.update_steps * self.batch_size

    def stages(self, num_updates: int) -> list[Stage]:
        """See `MethodConfig`."""
        return [Stage("", num_updates)]

    def columns(self, env: Any) -> tuple[Column, ...]:
        """See `MethodConfig`."""
        return (Column("value", "value", 1, "value of the recorded actions"),)


def check_target(target: str) -> None:
    """Raises ValueError unless it is "auto" or a number."""
    try:
        is_valid = target == AUTO or isfinite(float(target))
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError(f"target is {target!r}; it must be auto or a number")


def check_context(context: int, config: "TrainConfig") -> None:
    """Raises ValueError if it is longer than an episode."""
    most = config.make_env().max_steps
    if context > most:
        raise ValueError(
            f"context is {context}, longer than an episode of {config.env.env_id}; it must be at "
            f"most {most}"
        )
