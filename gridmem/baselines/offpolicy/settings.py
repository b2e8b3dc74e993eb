"""The settings of the off-policy methods."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from gridmem.baselines.method import MethodConfig, Stage
from gridmem.baselines.setting_types import check_not_negative, check_positive, check_types
from gridmem.envs.environment import Box, is_on_host

if TYPE_CHECKING:
    from gridmem.baselines.config import TrainConfig

AcceleratorName = Literal["window-mlp", "gru", "lstm"]
CloneName = Literal["relabel", "taken"]
Stage2CriticsName = Literal["learning", "fixed"]
WARMUP, FIRST, FILLING, SECOND = range(4)
"""Stages: only playing, learning, only playing, learning; the last two with a small buffer."""

LEARNING = FIRST, SECOND


@dataclass(frozen=True)
class OffPolicyConfig(MethodConfig):
    """What all off-policy methods have."""

    sections: ClassVar[Sequence[str]] = ("model",)

    context: int = 1
    """Observations that actor and critics see, the present one included."""
    buffer: int = 1_000_000
    """Transitions that the replay buffer holds."""
    learning_starts: int = 1000
    """Steps of random actions before learning begins."""
    batch_size: int = 256
    """Transitions of a gradient step."""
    learning_rate: float = 3e-4
    """Learning rate of Adam, for all networks."""
    gamma: float = 0.99
    """Discount per step."""
    tau: float = 0.005
    """How far target networks move at a time."""
    critic_width: int = 256
    """Hidden features of a layer of the critics."""
    critic_layers: int = 2
    """Hidden layers of the critics."""
    num_envs: int = 1
    """Environments stepped side by side; each step of all is followed by one gradient step."""
    update_steps: int = 1000
    """Agent steps between two rows of metrics."""
    stage1_steps: int | None = None
    """Steps of the first stage, with --stage2-buffer; the rest of the run is the second."""
    stage2_buffer: int | None = None
    """Empty the buffer when the second stage begins, and hold so many transitions from then on."""

    stage2_learning_rate: float | None = None
    """Learning rate of the second stage; the same if not given."""

    actor_delay: ClassVar[int] = 1
    """Gradient steps of the critics for one of the actor."""

    def __post_init__(self) -> None:
        check_types(self)
        check_positive(self, "context", "buffer", "learning_starts", "batch_size", "learning_rate")
        check_positive(self, "critic_width", "critic_layers", "num_envs", "update_steps")
        for name in ("gamma", "tau"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be from 0 to 1")
        if (self.stage1_steps is None) != (self.stage2_buffer is None):
            raise ValueError("stage1_steps and stage2_buffer go together")
        if self.stage1_steps is not None:
            check_positive(self, "stage1_steps", "stage2_buffer")
        if self.stage2_learning_rate is not None:
            check_positive(self, "stage2_learning_rate")

    def check(self, config: "TrainConfig") -> None:
        """See `MethodConfig`."""
        env, id = config.make_env(), config.env.env_id
        if not isinstance(env.actions, Box):
            raise ValueError(
                f"{id} has the actions {env.actions}, and {self.name} needs continuous actions in "
                "a bounded box; use ppo"
            )
        if self.context > env.max_steps:
            raise ValueError(
                f"context is {self.context}, longer than an episode of {id}; it must be at most "
                f"{env.max_steps}"
            )
        if self.num_envs > 1 and is_on_host(env):
            raise ValueError(
                f"num_envs is {self.num_envs}, and {id} is stepped by Python, one at a time; it "
                "must be 1"
            )
        streams = self.num_envs * env.num_agents
        self._check_buffers(streams)
        whole = streams * self.actor_delay
        for name in ("update_steps", "learning_starts", "stage1_steps"):
            unit = whole if name == "update_steps" else self.update_steps
            value = getattr(self, name)
            if value is not None and value % unit:
                raise ValueError(f"{name} is {value}; it must be a multiple of {unit}{_of(name)}")
        if self.learning_starts >= config.total_steps:
            raise ValueError(
                f"learning_starts is {self.learning_starts}, so that nothing is learned in "
                f"{config.total_steps} steps; it must be below total_steps"
            )
        if self.stage1_steps is not None and self.learning_starts >= self.stage1_steps:
            raise ValueError(
                f"learning_starts is {self.learning_starts}; it must be below stage1_steps, which "
                f"is {self.stage1_steps}"
            )

    def _check_buffers(self, streams: int) -> None:
        """Raises ValueError for a buffer that is too small for batches and windows."""
        for name in ("buffer", "stage2_buffer"):
            size = getattr(self, name)
            for least in ("batch_size", "context"):
                smallest = getattr(self, least) * (streams if least == "context" else 1)
                if size is not None and size < smallest:
                    raise ValueError(f"{name} is {size}; it must be at least {smallest} ({least})")
            if size is not None and size % streams:
                raise ValueError(
                    f"{name} is {size}; it must be a multiple of the {streams} agents that play"
                )
        if self.stage2_buffer is not None and self.stage2_buffer > self.buffer:
            raise ValueError(
                f"stage2_buffer is {self.stage2_buffer}; it must be at most buffer, which is "
                f"{self.buffer}"
            )

    def steps_per_update(self, env: Any) -> int:
        """See `MethodConfig`."""
        return self.update_steps

    def stages(self, num_updates: int) -> list[Stage]:
        """Random actions, then learning; again with a small buffer, once it has a batch."""
        warmup = min(num_updates, self.learning_starts // self.update_steps)
        if self.stage1_steps is None:
            return [Stage("random actions", warmup), Stage("learning", num_updates - warmup)]
        first = min(num_updates, self.stage1_steps // self.update_steps)
        filling = min(num_updates - first, -(-self.batch_size // self.update_steps))
        return [
            Stage("random actions", warmup),
            Stage("first stage", first - warmup),
            Stage("filling the small buffer", filling),
            Stage("second stage", num_updates - first - filling),
        ]


def _of(name: str) -> str:
    return "" if name == "update_steps" else " (update_steps)"


@dataclass(frozen=True)
class TD3Config(OffPolicyConfig):
    """Twin delayed deep deterministic policy gradients (Fujimoto et al. 2018)."""

    exploration_noise: float = 0.1
    """Deviation of the noise of actions, which go from -1 to 1."""
    target_noise: float = 0.2
    """Deviation of the noise of the target's actions."""
    target_noise_clip: float = 0.5
    """Largest noise of the target's actions."""

    actor_delay: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative(self, "exploration_noise", "target_noise", "target_noise_clip")


@dataclass(frozen=True)
class SACConfig(OffPolicyConfig):
    """Soft actor-critic with a learnt temperature (Haarnoja et al. 2018)."""

    temperature: float = 1.0
    """Weight of the entropy at first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "temperature")


@dataclass(frozen=True)
class AcceleratorConfig(TD3Config):
    """A network that clones a TD3 agent while that one learns, and then learns in its place."""

    buffer: int = 20_000
    """Transitions that the replay buffer holds in the first stage."""
    stage1_steps: int | None = 16_000
    """Steps in which the accelerator plays and learns, and the network clones it."""
    stage2_buffer: int | None = 1000
    """Transitions that the replay buffer holds in the second stage, in which the network plays."""
    accelerator: AcceleratorName = "window-mlp"
    """The agent that is cloned."""
    clone: CloneName = "relabel"
    """What is cloned: the accelerator's present action, or the one that was taken."""
    clone_newest: int = 5000
    """How many of the newest transitions are cloned."""
    stage2_critics: Stage2CriticsName = "learning"
    """Whether the critics go on to learn in the second stage."""
    ascent: float = 0.0
    """Weight of the accelerator's critic in what the clone learns."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "clone_newest")
        check_not_negative(self, "ascent")
        if self.stage1_steps is None:
            raise ValueError("the accelerator has two stages; give stage1_steps and stage2_buffer")
