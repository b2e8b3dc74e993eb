"""The settings of PPO."""

from dataclasses import dataclass, field, fields, replace
from math import inf
from typing import TYPE_CHECKING, Any

from gridmem.baselines.method import MethodConfig, Stage
from gridmem.baselines.setting_types import check_not_negative, check_positive, check_types
from gridmem.envs.batch.mixture import SEPARATOR, Mixture
from gridmem.envs.env import Env
from gridmem.envs.environment import Column, Ids, PackedIds, is_on_host
from gridmem.envs.maps import MAX_SIDE, MIN_SIDE, NoiseMap

if TYPE_CHECKING:
    from gridmem.baselines.config import ModelConfig, TrainConfig

ORACLE = "oracle"
"""The teacher that is no agent: it knows the map."""
GROWTH = "growth"
"""The metric that says how far caves have grown, from 0 to 1."""


@dataclass(frozen=True)
class MixtureConfig:
    """What differs between the environments of a mixture, in the order of their ids."""

    shares: tuple[float, ...] = ()
    """How the streams are divided among the environments of a mixture; equally if not given."""
    gammas: tuple[float, ...] = ()
    """Discount in each environment of a mixture; gamma if not given."""
    td_lambdas: tuple[float, ...] = ()
    """Weight of longer returns in each environment of a mixture; td_lambda if not given."""
    entropy_coefs: tuple[float, ...] = ()
    """Entropy bonus in each environment of a mixture; entropy_coef if not given."""

    def __post_init__(self) -> None:
        check_types(self)
        if any(not 0 < share < inf for share in self.shares):
            raise ValueError(f"shares are {self.shares}; each must be a number above 0")


@dataclass(frozen=True)
class CurriculumConfig:
    """Caves that grow during training; held-out levels are always those of the id."""

    grow_steps: int = 0
    """Agent steps over which caves grow to the size of the id; 0 to begin with that size."""
    start_side: int = 9
    """Rows and columns of the first caves."""
    start_max_steps: int | None = None
    """Actions per episode in the first caves; the id's own if not given."""
    start_distance: int | None = None
    """The most steps from a spawn to the nearest goal in the first caves, a rock counted as one;
    any if not given."""

    def __post_init__(self) -> None:
        check_types(self)
        check_not_negative(self, "grow_steps")
        check_positive(self, "start_side", below=MAX_SIDE + 1)
        for name in ("start_max_steps", "start_distance"):
            if getattr(self, name) is not None:
                check_positive(self, name)

    def check(self, env: Any, id: str) -> None:
        """Raises ValueError if the levels of the environment cannot grow by these settings."""
        if not self.grow_steps:
            if self != CurriculumConfig():
                raise ValueError("the caves do not grow; give --grow-steps")
            return
        if isinstance(env, Mixture):
            raise ValueError(f"caves grow in one environment, and {id} is a mixture")
        if not isinstance(env, Env) or not isinstance(env.config.map, NoiseMap):
            raise ValueError(f"only caves of noise can grow, and {id} has others")
        config, map_ = env.config, env.config.map
        side = max(map_.height, map_.width)
        if not MIN_SIDE <= self.start_side <= side:
            raise ValueError(
                f"start_side is {self.start_side}; it must be from {MIN_SIDE} to the {side} of {id}"
            )
        cells = min(self.start_side, map_.height) * min(self.start_side, map_.width)
        needed = config.task.num_goals + config.num_agents
        if -(-cells // 8) < needed:
            raise ValueError(
                f"start_side is {self.start_side}; such a cave may have as few as "
                f"{-(-cells // 8)} free cells, too few for {needed} goals and agents"
            )
        for name, most in (
            ("start_max_steps", config.max_steps),
            ("start_distance", map_.height + map_.width),
        ):
            if (getattr(self, name) or 1) > most:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; it must be at most {most} for {id}"
                )
        steps = self.start_max_steps or config.max_steps
        if (self.start_side, steps, self.start_distance) == (side, config.max_steps, None):
            raise ValueError(
                f"the first caves are those of {id}; give a --start-side below {side}, "
                "--start-max-steps or --start-distance"
            )


@dataclass(frozen=True)
class PPOConfig(MethodConfig):
    """Rollouts and the loss."""

    num_envs: int = 128
    """Environments stepped side by side; of a mixture, their agents."""
    rollout_steps: int | None = None
    """Steps that an update plays in each environment, at most an episode; continuing the
    episodes of the last update. Whole episodes if not given."""
    num_epochs: int = 1
    """Passes over the data of an update."""
    num_minibatches: int = 32
    """Gradient steps per pass; each takes all steps of some of the streams."""
    gamma: float = 0.97
    """Discount per step."""
    td_lambda: float = 0.95
    """Weight of longer returns in the value target."""
    policy_clip: float = 0.2
    """How far the probability ratio may move before its gradient stops."""
    value_coef: float = 0.5
    """Weight of the value loss."""
    entropy_coef: float = 0.003
    """Weight of the entropy bonus."""
    normalize_advantage: bool = True
    """Scale the advantages of an update to mean 0 and deviation 1."""
    teacher: str | None = None
    """Learn from this run, file or released agent at first, or from "oracle", which knows the
    map; see docs/training.md#learning-from-a-teacher."""
    teacher_coef: float = 1.0
    """Weight of the divergence from the teacher in the loss of the first update."""
    teacher_steps: int = 1_000_000
    """Agent steps over which that weight falls to 0; then there is no teacher."""
    teacher_sha256: str | None = None
    """Digest of the teacher's weights, set by each new run; with other weights it is not
    resumed."""
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)

    def __post_init__(self) -> None:
        check_types(self)
        check_positive(self, "num_envs", "num_epochs", "num_minibatches", "policy_clip")
        if self.rollout_steps is not None:
            check_positive(self, "rollout_steps")
        check_not_negative(self, "value_coef", "entropy_coef")
        check_positive(self, "teacher_coef", "teacher_steps", below=inf)
        for name in ("gamma", "td_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be from 0 to 1")

    def check(self, config: "TrainConfig") -> None:
        """See `MethodConfig`."""
        env, steps = config.make_env(), self.rollout_steps
        members = {config.env.env_id: env}
        if isinstance(env, Mixture):
            members = dict(zip(env.ids, env.envs, strict=True))
            if steps is None:
                raise ValueError("a mixture needs --rollout-steps, for example 64")
            for number, (id, each) in enumerate(members.items()):
                _check_share(id, each, env.num_streams[number], self)
        elif self.mixture != MixtureConfig():
            raise ValueError(
                "shares, gammas, td_lambdas and entropy_coefs are for a mixture of environments; "
                f"join ids by {SEPARATOR!r}, as --env-id "
                f"{config.env.env_id}{SEPARATOR}GridMem-13x13-v0"
            )
        if config.model.predict_view_coef:
            if isinstance(env, Mixture):
                raise ValueError(
                    "--predict-view-coef is for one environment, not for a mixture; leave it out"
                )
            packed = any(isinstance(part, PackedIds) for part in env.parts)
            if packed or not any(isinstance(part, Ids) for part in env.parts):
                raise ValueError(
                    "--predict-view-coef needs a view with one id in each cell, and "
                    f"{config.env.env_id} has none; leave it out"
                )
        _check_teacher(config.env.env_id, env, self)
        self.curriculum.check(env, config.env.env_id)
        grown_after = (config.num_updates - 1) * self.steps_per_update(env)
        if self.curriculum.grow_steps > grown_after:
            raise ValueError(
                f"grow_steps is {self.curriculum.grow_steps}; it must be at most {grown_after} of "
                f"the {config.total_steps} total_steps, so that the caves of the id are played, too"
            )
        for id, each in members.items():
            _check_member(id, each, config.model, steps)
        for settings in self.of_each(len(members)):
            settings.__post_init__()
        num_streams = self.num_envs * env.num_agents
        if num_streams > 2**30:
            raise ValueError(
                f"num_envs is {self.num_envs}, which makes {num_streams} streams "
                "(num_envs x agents); they must be at most 2**30"
            )
        if num_streams % self.num_minibatches:
            raise ValueError(
                f"num_minibatches is {self.num_minibatches}; it must divide the "
                f"{num_streams} streams (num_envs x agents)"
            )
        num_steps = config.num_updates * self.num_epochs * self.num_minibatches
        if num_steps >= 2**31:
            raise ValueError(
                f"total_steps is {config.total_steps}; they take {num_steps:,} gradient steps, "
                "which must be less than 2**31"
            )

    def of_each(self, number: int) -> "list[PPOConfig]":
        """The settings for each of so many environments."""
        values = {
            "gamma": self.mixture.gammas,
            "td_lambda": self.mixture.td_lambdas,
            "entropy_coef": self.mixture.entropy_coefs,
        }
        values = {name: each for name, each in values.items() if each}
        return [
            replace(self, **{name: each[place] for name, each in values.items()})
            for place in range(number)
        ]

    def arrange(self, env: Any) -> Any:
        """See `MethodConfig`."""
        if not isinstance(env, Mixture):
            return env
        for each in fields(self.mixture):
            given = len(getattr(self.mixture, each.name))
            if given not in (0, len(env.ids)):
                numbers = "1 number" if given == 1 else f"{given} numbers"
                raise ValueError(
                    f"{each.name} has {numbers}; it must have one for each of the {len(env.ids)} "
                    "environments"
                )
        shares = self.mixture.shares or (1.0,) * len(env.ids)
        wanted = [self.num_envs * share / sum(shares) for share in shares]
        for id, number in zip(env.ids, wanted, strict=True):
            if abs(number - round(number)) > 1e-6 or round(number) < 1:
                raise ValueError(
                    f"the share of {id} is {number:g} of {self.num_envs} streams; it must be a "
                    "whole number of them: change --shares or --num-envs"
                )
        return replace(env, num_streams=tuple(map(round, wanted)))

    def steps_per_update(self, env: Any) -> int:
        """See `MethodConfig`."""
        return self.num_envs * env.num_agents * (self.rollout_steps or env.max_steps)

    def stages_of(self, config: "TrainConfig") -> list[Stage]:
        """See `MethodConfig`: with the teacher, then alone."""
        number = config.num_updates
        if self.teacher is None:
            return super().stages_of(config)
        taught = min(number, -(-self.teacher_steps // config.steps_per_update))
        stages = Stage("teacher", taught), Stage("alone", number - taught)
        return [stage for stage in stages if stage.num_updates]

    def columns(self, env: Any) -> tuple[Column, ...]:
        """See `MethodConfig`: with the growth of the caves, if they grow."""
        growth = (Column(GROWTH, "growth", 2, "growth of the caves"),)
        return super().columns(env) + (growth if self.curriculum.grow_steps else ())

    def device_divisors(self, env: Any) -> tuple[int, ...]:
        """The environments, and the streams of a minibatch; a mixture uses one device."""
        if isinstance(env, Mixture):
            return (1,)
        return self.num_envs, self.num_envs * env.num_agents // self.num_minibatches


def _check_teacher(id: str, env: Any, settings: PPOConfig) -> None:
    """Raises ValueError if there cannot be such a teacher, whatever it is like."""
    if settings.teacher is None:
        for each in fields(settings):
            given = getattr(settings, each.name)
            if each.name.startswith("teacher_") and given != each.default:
                raise ValueError(f"{each.name} is {given}, and there is no teacher; give --teacher")
    elif isinstance(env, Mixture):
        raise ValueError(f"a teacher is for one environment, and {id} is a mixture")
    elif settings.teacher == ORACLE and settings.curriculum.grow_steps:
        raise ValueError("the oracle does not teach in caves that grow; give a trained teacher")
    elif settings.teacher == ORACLE and not isinstance(env, Env):
        raise ValueError(f"the oracle knows the maps of GridMem, and {id} is no environment of it")


def _check_share(id: str, env: Any, num_streams: int, settings: PPOConfig) -> None:
    """Raises ValueError if the streams of an environment of a mixture cannot be divided."""
    if num_streams % env.num_agents:
        raise ValueError(
            f"{id} has {num_streams} streams of the mixture and {env.num_agents} agents; the first "
            "must be a multiple of the second: change --shares or --num-envs"
        )
    if num_streams % settings.num_minibatches:
        raise ValueError(
            f"num_minibatches is {settings.num_minibatches}; it must divide the {num_streams} "
            f"streams of {id}, so that each minibatch has all environments"
        )


def _check_member(id: str, env: Any, model: "ModelConfig", steps: int | None) -> None:
    """Raises ValueError if PPO cannot be trained in an environment."""
    if is_on_host(env):
        raise ValueError(f"{id} is stepped by the host, and ppo needs JAX")
    if not hasattr(env.actions, "n"):
        raise ValueError(
            f"{id} has the actions {env.actions}, and ppo needs a finite number of actions; use "
            "another method"
        )
    if hasattr(env, "evaluation_steps"):
        limit = f"an episode of {id} may take {env.max_steps:,} steps"
        if steps is None:
            raise ValueError(f"{limit}; give --rollout-steps, for example 64")
        if model.mixer == "attention" and model.window is None:
            raise ValueError(
                f"{limit}, too many for attention; give --window, for example 128, or another "
                "--mixer"
            )
    if steps is not None and steps > env.max_steps:
        raise ValueError(
            f"rollout_steps is {steps}; it must be at most the {env.max_steps} of an episode"
        )


def check_can_learn(config: "TrainConfig") -> None:
    """Raises ValueError for settings with which an agent can act but not learn."""
    steps = config.ppo.rollout_steps or config.make_env().max_steps
    if config.model.predict_view_coef and steps == 1:
        name = "max_steps" if config.ppo.rollout_steps is None else "--rollout-steps"
        raise ValueError(
            f"--predict-view-coef learns from views that follow each other, and {name} is 1; it "
            "must be 2 or more"
        )
