"""PPO as a method of the training loop; the algorithm is in `learner.py`."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import jax
from flax import nnx

from gridmem.baselines.config import EnvSettings, TrainConfig
from gridmem.baselines.method import Method
from gridmem.baselines.model.policy import model_policy, streaming_policy
from gridmem.baselines.ppo.learner import Learner, UpdateMetrics, build_model, init, update
from gridmem.baselines.ppo.mixture import member_params
from gridmem.baselines.ppo.settings import MixtureConfig, PPOConfig
from gridmem.baselines.ppo.teacher import Teacher, load_teacher
from gridmem.envs.batch.mixture import Mixture
from gridmem.envs.batch.policy import Policy
from gridmem.envs.registry import CONFIGS


class PPO(Method):
    """Proximal policy optimization on whole episodes, or on rollouts that continue them."""

    can_forget = True

    @cached_property
    def _graphdef(self) -> Any:
        return nnx.split(self._abstract_model())[0]

    @cached_property
    def _teacher(self) -> Teacher | None:
        return load_teacher(self.config, self.source)

    def init(self) -> Learner:
        """See `Method`."""
        return init(self.config, self.source, self._teacher)[1]

    def inputs(self, stage: int) -> tuple[Teacher, ...]:
        """See `Method`; the teacher is in the first stage."""
        return () if self._teacher is None or stage else (self._teacher,)

    def update(
        self, state: Learner, stage: int, teacher: Teacher | None = None
    ) -> tuple[Learner, UpdateMetrics]:
        """See `Method`."""
        if teacher is None:
            return update(self.config, self.source, self._graphdef, state)
        return update(self.config, self.source, self._graphdef, state, teacher)

    def abstract_params(self) -> Any:
        """See `Method`."""
        return nnx.split(self._abstract_model())[1]

    def model(self, params: Any) -> Any:
        """The network with these parameters: `ActorCritic`, of a mixture `MixtureActorCritic`."""
        return nnx.merge(self._graphdef, params)

    @property
    def members(self) -> dict[str, Method]:
        """See `Method`."""
        if not isinstance(self.source, Mixture):
            return super().members
        config, mixture = self.config, self.source
        settings, found = config.ppo.of_each(len(mixture.ids)), {}
        for number, (id, env) in enumerate(zip(mixture.ids, mixture.envs, strict=True)):
            own = replace(
                settings[number],
                num_envs=mixture.num_streams[number] // env.num_agents,
                mixture=MixtureConfig(),
            )
            options = config.env.options if id in CONFIGS else {}
            member = replace(config, env=EnvSettings(id, options=options), method=own)
            found[id] = PPO(member, env)
        return found

    def member_params(self, params: Any, id: str) -> Any:
        """See `Method`."""
        if not isinstance(self.source, Mixture):
            return params
        return member_params(params, self.source.ids.index(id))

    def policy(self, params: Any, greedy: bool = False) -> Policy:
        """See `Method`."""
        model, window = self.model(params), self.config.model.window
        if hasattr(self.source, "evaluation_steps"):  # its episodes are too long for one memory
            return streaming_policy(model, greedy, context=(window or 1) - 1)
        return model_policy(model, greedy)

    def forgetful_policy(self, params: Any, greedy: bool = False) -> Policy:
        """See `Method`."""
        return streaming_policy(self.model(params), greedy, forget_at_finds=True)

    @property
    def acting(self) -> "PPO":
        """See `Method`."""
        # One step: environments with long episodes refuse rollouts of whole ones.
        method = PPOConfig(rollout_steps=1)
        model = self.config.recipe.model  # with kernels that any device has
        config = TrainConfig(env=self.config.env, model=model, method=method)
        return PPO(config, self.source)

    @property
    def about(self) -> Mapping[str, str]:
        """See `Method`."""
        ppo, about = self.config.ppo, {}
        if steps := ppo.curriculum.grow_steps:
            first, side = ppo.curriculum, ppo.curriculum.start_side
            others = {"steps": first.start_max_steps, "to the goal": first.start_distance}
            more = "".join(f", {number} {name}" for name, number in others.items() if number)
            about["curriculum"] = (
                f"{side} x {side} cells{more} at first, growing for {steps:,} steps"
            )
        if self._teacher is not None:
            config = self._teacher.config
            who = (
                "the oracle" if config is None else f"{ppo.teacher}, trained in {config.env.env_id}"
            )
            fall = f"weight {ppo.teacher_coef:g}, falling to 0 over {ppo.teacher_steps:,} steps"
            about["teacher"] = f"{who}; {fall}"
        return about

    def warnings(self, row: Mapping[str, float]) -> str:
        """Says when the histogram of the value head is too narrow."""
        if outside := row["target_outside"]:
            return (
                f"{outside:.2%} of the value targets are beyond the histogram; widen it with "
                "--value-min and --value-max"
            )
        return ""

    def _abstract_model(self) -> Any:
        return nnx.eval_shape(lambda: build_model(self.config, self.source, jax.random.key(0)))
