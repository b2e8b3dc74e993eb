"""Methods: what the training loop drives, whatever the algorithm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from gridmem.baselines.registration import METHOD_CONFIGS

if TYPE_CHECKING:
    from gridmem.baselines.config import TrainConfig
    from gridmem.envs.batch.policy import Policy
    from gridmem.envs.environment import Column


class Stage(NamedTuple):
    """A part of a run in which updates are of one kind.

    Attributes:
        name: shown in the progress of a run.
        num_updates: updates in it.
    """

    name: str
    num_updates: int


@dataclass(frozen=True)
class MethodConfig:
    """Settings of a method; the base class of each, with what holds for most."""

    sections: ClassVar[Sequence[str]] = ("model", "optimizer")
    """The other settings of a `TrainConfig` that the method reads; the help shows only these."""

    step_kind: ClassVar[str] = "agent"
    """What the steps of a run are called: "agent", or "recorded" of stored data."""

    @property
    def name(self) -> str:
        """The name that the method is registered by."""
        names = {config: name for name, config in METHOD_CONFIGS.items()}
        return names[type(self)]

    def check(self, config: "TrainConfig") -> None:
        """Raises ValueError if the settings do not fit the others of the run."""

    def arrange(self, env: Any) -> Any:
        """The environment, which of a mixture gets its numbers of streams.

        Raises:
            ValueError: if the method cannot learn from a mixture, or the numbers are invalid.
        """
        from gridmem.envs.batch.mixture import Mixture

        if isinstance(env, Mixture):
            raise ValueError(f"{self.name} learns in one environment; a mixture is for ppo")
        return env

    def steps_per_update(self, env: Any) -> int:
        """Agent steps that one update plays or, of stored data, learns from."""
        raise NotImplementedError

    def stages(self, num_updates: int) -> list[Stage]:
        """The stages of a run of so many updates, in all; to extend a run extends the last."""
        return [Stage("", num_updates)]

    def stages_of(self, config: "TrainConfig") -> list[Stage]:
        """The stages of a run, if they depend on more than its number of updates; see `stages`."""
        return self.stages(config.num_updates)

    def columns(self, env: Any) -> "tuple[Column, ...]":
        """Metrics that tables and curves show; by default those of the episodes that are played."""
        return env.stats.columns

    def device_divisors(self, env: Any) -> Sequence[int]:
        """Sizes that the number of devices must divide; by default one device is used."""
        return (1,)


@dataclass(frozen=True)
class Method:
    """A method with its settings and its source; the base class of each. Hashable.

    The training loop gives it a run directory, progress, metrics, checkpoints, `--resume`,
    `--extend`, `--num-seeds`, curves and evaluations.

    Attributes:
        config: of the run, for a single seed.
        source: what it learns from: see `open`.
    """

    config: "TrainConfig"
    source: Any

    traceable: ClassVar[bool] = True
    """Whether `update` is a pure function of arrays, so that several seeds are one program."""

    @classmethod
    def open(cls, config: "TrainConfig") -> Any:
        """The source: by default the environment of the config.

        Others are stored data. A loaded agent, and one that is evaluated, has the environment as
        its source whatever it learned from.

        Raises:
            ValueError: if there is none.
        """
        return config.make_env(shared=False)

    def init(self) -> Any:
        """The state at the start of a run: a NamedTuple of trees of arrays.

        It has a field `num_updates` i32[], 0. It is all that changes, and all that a checkpoint
        holds.
        """
        raise NotImplementedError

    def inputs(self, stage: int) -> tuple[Any, ...]:
        """Further arguments of `update`: trees of arrays that it reads and that never change.

        They are the same for all seeds, and not part of a checkpoint. By default there are none.
        """
        return ()

    def update(self, state: Any, stage: int) -> tuple[Any, Any]:
        """One update: the new state, and metrics.

        With a JAX environment it is one compiled function of a donated state:
        `@partial(jax.jit, static_argnums=(0, 2), donate_argnums=1)`.
        Metrics are named numbers f32[], in dicts or NamedTuples. They have the metrics of
        `env.stats` if the method plays.

        Args:
            state: the state; `num_updates` is to be increased.
            stage: number of the stage in `MethodConfig.stages_of`.
        """
        raise NotImplementedError

    def begin_stage(self, state: Any, stage: int) -> Any:
        """The state at the start of a stage other than the first, of the same shapes."""
        return state

    def params(self, state: Any) -> Any:
        """What a policy needs of a state: the tree of arrays that is saved as the agent."""
        return state.params

    def abstract_params(self) -> Any:
        """A tree like `params`, maybe of shapes; `source` is the environment.

        By default that of `init`, which is traced if the method is traceable.
        """
        import jax

        if self.traceable:
            return jax.eval_shape(lambda: self.params(self.init()))
        return jax.tree.map(jax.numpy.asarray, self.params(self.init()))

    @property
    def members(self) -> "dict[str, Method]":
        """Id of an environment -> the method for its agent; several only of a mixture."""
        return {self.config.env.env_id: self}

    def member_params(self, params: Any, id: str) -> Any:
        """The parameters of that agent."""
        return params

    def policy(self, params: Any, greedy: bool = False) -> "Policy":
        """A policy for B streams of one episode each; `source` is the environment."""
        raise NotImplementedError

    can_forget: ClassVar[bool] = False
    """Whether there is a `forgetful_policy`."""

    def forgetful_policy(self, params: Any, greedy: bool = False) -> "Policy":
        """`policy` that forgets all whenever the last reward was above 0, as a control."""
        raise NotImplementedError

    @cached_property
    def seeds(self) -> "list[Method]":
        """The method for each seed of the config, each with a source of its own."""
        first, *others = self.config.seed_configs
        mine = replace(self, config=first)
        return [mine, *(replace(self, config=one, source=self.open(one)) for one in others)]

    @property
    def acting(self) -> "Method":
        """The method with only the settings that `policy` reads, and the environment as its source.

        Agents for which it is equal share a compiled program in evaluations.
        """
        return replace(self, config=self.config.recipe, source=self.config.make_env())

    @property
    def about(self) -> Mapping[str, str]:
        """Further lines of what a run prints before it starts: topic -> text."""
        return {}

    def warnings(self, row: Mapping[str, float]) -> str:
        """A sentence about metrics that need the user's attention; empty for none."""
        return ""
