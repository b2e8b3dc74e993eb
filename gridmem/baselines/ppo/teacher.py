"""Teachers: what they would do where a student plays is a part of the student's loss.

Schmitt et al. 2018, "Kickstarting deep reinforcement learning" (arXiv 1803.03835). A teacher is a
trained agent, or the oracle, which knows the map.
"""

from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float32, Int32, Key

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.model.actor_critic import ActorCritic, Caches
from gridmem.baselines.ppo.settings import ORACLE, PPOConfig
from gridmem.baselines.ppo.sharding import shard_map_rows
from gridmem.baselines.training.imitation import cross_entropy, kl_divergence
from gridmem.envs.analysis.oracle import oracle_advice
from gridmem.envs.batch.autoreset import Starts, VectorEnv
from gridmem.envs.batch.mixture import Mixture
from gridmem.envs.batch.policy import Policy, PolicyOutput
from gridmem.envs.env import Env
from gridmem.envs.environment import Environment, Part
from gridmem.envs.types import TimeStep

Lesson = Float32[Array, "*batch actions"] | Int32[Array, "*batch"]
"""Log-probabilities of a trained agent, or actions of the oracle, where a student has played."""


@partial(
    jax.tree_util.register_dataclass, data_fields=["params"], meta_fields=["graphdef", "config"]
)
@dataclass(frozen=True)
class Teacher:
    """A tree of the arrays of a trained agent; of the oracle, which has none, all is None.

    Attributes:
        params: of its network.
        graphdef: static part of its network.
        config: of its run, as far as it matters for acting.
    """

    params: Any = None
    graphdef: Any = None
    config: TrainConfig | None = None

    @property
    def model(self) -> ActorCritic | None:
        """Its network."""
        return None if self.graphdef is None else nnx.merge(self.graphdef, self.params)


class TaughtMemory(NamedTuple):
    """What a student and its teacher remember of the same streams."""

    student: Any
    teacher: Caches


class TaughtExtras(NamedTuple):
    """`ModelExtras` of the student, and the teacher's log-probabilities of all actions."""

    log_prob: Float32[Array, " B"]
    value: Float32[Array, " B"]
    segment: Int32[Array, " B"] | None
    teacher: Float32[Array, "B actions"]
    rounded: Any = None


def load_teacher(config: TrainConfig, env: Environment | Mixture) -> Teacher | None:
    """The teacher of a run; None if it has none.

    Raises:
        ValueError: if it cannot be read, does not fit the environment, or is not the one that the
            run began with.
    """
    name = config.ppo.teacher
    if name is None or isinstance(env, Mixture):  # a mixture has no teacher: see PPOConfig
        return None
    if name == ORACLE:
        return Teacher()
    from gridmem.baselines.agent import load

    found, wanted = _digest(name), config.ppo.teacher_sha256
    if wanted not in (None, found):
        raise ValueError(
            f"the teacher {name} has other weights than the run began with: their SHA-256 is "
            f"{found[:12]}..., and must be {wanted[:12]}..."
        )
    try:
        with jax.ensure_compile_time_eval():  # a run may begin inside `jit`
            agent = load(name)
    except ValueError as error:
        raise ValueError(f"the teacher cannot be used: {error}") from None
    if agent.config.method.name != "ppo":
        raise ValueError(
            f"the teacher {name} was trained by {agent.config.method.name}, and must be an agent "
            "of ppo"
        )
    members, id = agent.members, config.env.env_id
    if len(members) > 1 and id not in members:
        raise ValueError(f"the teacher {name} was trained in {', '.join(members)}, and not in {id}")
    agent = members.get(id, agent)
    _check_fit(f"the teacher {name} (trained in {agent.env_id})", agent.env, env)
    recipe = agent.config.recipe  # with kernels that any device has
    like = agent.env
    model = nnx.eval_shape(lambda: ActorCritic(recipe.model, like.parts, like.actions, nnx.Rngs(0)))
    return Teacher(agent.params, nnx.split(model)[0], recipe)


def pinned(config: TrainConfig) -> TrainConfig:
    """The config of a new run, with the digest of its teacher's weights.

    Raises:
        ValueError: if there are none.
    """
    ppo = config.method
    if not isinstance(ppo, PPOConfig) or ppo.teacher in (None, ORACLE) or ppo.teacher_sha256:
        return config
    return replace(config, method=replace(ppo, teacher_sha256=_digest(ppo.teacher)))


def _digest(name: str) -> str:
    from gridmem.baselines.agent import weights_file

    try:
        return sha256(weights_file(name).read_bytes()).hexdigest()
    except OSError as error:
        raise ValueError(f"the teacher {name} cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ValueError(f"the teacher cannot be used: {error}") from None


def _check_fit(what: str, theirs: Environment, ours: Environment) -> None:
    """Raises ValueError unless observations and actions are the same."""
    if theirs.parts != ours.parts:
        raise ValueError(
            f"{what} observes {_described(theirs.parts)}, and the student "
            f"{_described(ours.parts)}; they must observe the same"
        )
    if theirs.actions != ours.actions:
        raise ValueError(
            f"{what} has the actions {theirs.actions}, and the student {ours.actions}; they must "
            "have the same"
        )


def _described(parts: tuple[Part, ...]) -> str:
    shapes = (f"{part.name} {'x'.join(map(str, part.shape))}" for part in parts)
    return " and ".join(shapes) or "nothing"


def taught_policy(
    student: Policy, model: ActorCritic, room: int = 0, segmented: bool = False
) -> Policy:
    """The student's choices with `TaughtExtras`; its memory is a `TaughtMemory`.

    Args:
        student: `model_policy`, or if `segmented` `streaming_policy`.
        model: the teacher's network.
        room: tokens that the teacher's memory has room for beyond the student's.
        segmented: whether episode follows upon episode.
    """
    prepared = model.prepare()

    def init(batch: int) -> TaughtMemory:
        return TaughtMemory(student.init(batch), model.init_cache(batch, 0, segmented))

    def act(memory: TaughtMemory, timestep: TimeStep, key: Key[Array, ""]) -> PolicyOutput:
        own, action, extras = student.act(memory.student, timestep, key)
        logits, _, caches = model.step(timestep.obs, memory.teacher, extras.segment, prepared)
        taught = TaughtExtras(
            extras.log_prob,
            extras.value,
            extras.segment,
            jax.nn.log_softmax(logits),
            extras.rounded,
        )
        return PolicyOutput(TaughtMemory(own, caches), action, taught)

    def grow(memory: TaughtMemory, length: int) -> TaughtMemory:
        caches = model.grow(memory.teacher, length + room)
        return TaughtMemory(student.grow(memory.student, length), caches)

    def keep(memory: TaughtMemory, length: int) -> TaughtMemory:
        caches = model.keep(memory.teacher, length + room)
        return TaughtMemory(student.keep(memory.student, length), caches)

    return Policy(init, act, grow, student.context, keep)


def resting_policy(student: Policy) -> Policy:
    """The student alone, with the memory of a teacher that is no longer asked."""

    def act(memory: TaughtMemory, timestep: TimeStep, key: Key[Array, ""]) -> PolicyOutput:
        own, action, extras = student.act(memory.student, timestep, key)
        return PolicyOutput(memory._replace(student=own), action, extras)

    def grow(memory: TaughtMemory, length: int) -> TaughtMemory:
        return memory._replace(student=student.grow(memory.student, length))

    def keep(memory: TaughtMemory, length: int) -> TaughtMemory:
        return memory._replace(student=student.keep(memory.student, length))

    return Policy(student.init, act, grow, student.context, keep)


def oracle_lesson(
    env: Env, begin: Any, action: Int32[Array, "T B"], is_whole: bool, starts: Starts | None
) -> Int32[Array, "T B"]:
    """What the oracle would do in the states of a rollout; see `oracle_advice`.

    Args:
        env: the environment.
        begin: the level of each environment if `is_whole`, else the `VectorState`.
        action: the student's, by which the states are played again.
        is_whole: whether it is an episode without resets.
        starts: of the episodes that begin in it; None to generate their levels again.
    """

    def replay(
        begin: Any, actions: Int32[Array, "N T A"], starts: Starts | None
    ) -> Int32[Array, "N T A"]:
        vector = VectorEnv(env, len(actions))
        if not is_whole:
            return oracle_advice(partial(vector.step, starts=starts), env, begin, actions)
        zeros = jnp.zeros((len(actions), 2), jnp.uint32)
        state, _ = vector.start(begin, zeros, zeros[:, 0])
        return oracle_advice(vector.step_only, env, state, actions)

    num_steps, num_streams = action.shape
    by_env = action.reshape(num_steps, -1, env.num_agents)
    advice = shard_map_rows(replay)(begin, jnp.swapaxes(by_env, 0, 1), starts)
    return jnp.swapaxes(advice, 0, 1).reshape(num_steps, num_streams)


def teacher_weight(
    config: TrainConfig, env: Environment | Mixture, num_updates: Int32[Array, ""]
) -> Float32[Array, ""]:
    """The weight of the teacher's loss in the update after so many."""
    share = config.ppo.steps_per_update(env) / config.ppo.teacher_steps
    left = 1 - num_updates.astype(jnp.float32) * share
    return config.ppo.teacher_coef * jnp.maximum(left, 0)


def lesson_loss(
    lesson: Lesson, logits: Float32[Array, "B T actions"], valid: Bool[Array, "B T"]
) -> Float32[Array, ""]:
    """KL(teacher || student), which of the oracle is a cross-entropy, in nats per valid step.

    Steps from which the oracle has no path do not count.
    """
    if lesson.ndim == logits.ndim:
        return kl_divergence(lesson, logits, valid)
    num_actions = logits.shape[-1]
    action = jnp.minimum(lesson, num_actions - 1)
    return cross_entropy(logits, action, valid & (lesson < num_actions))
