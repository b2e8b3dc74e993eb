"""Measures the speed of the parts of an update on this process's first device."""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import jax
from flax import nnx
from jax import ShapeDtypeStruct
from jaxtyping import Array, Key

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.costs.abstract_run import AbstractRun, abstract_run
from gridmem.baselines.costs.hardware import matmul_speed
from gridmem.baselines.costs.jaxpr_costs import device_fuses
from gridmem.baselines.costs.step_costs import (
    StepCosts,
    gradient_costs,
    rollout_costs,
    rollout_step,
    training_costs,
)
from gridmem.baselines.ppo.learner import (
    TrainBatch,
    init,
    make_batch,
    minibatch_loss,
    train_epochs,
    update,
)
from gridmem.baselines.ppo.rollout import collect
from gridmem.envs.batch.policy import random_policy
from gridmem.envs.batch.rollout import Rollout, play

ENVIRONMENT, ROLLOUT, TRAINING, WHOLE = "environment", "rollout", "training", "whole"
OF_AGENT = (ROLLOUT, TRAINING, WHOLE)
_COLUMNS = {
    "mixer": 9,
    "layers": 6,
    "part": 11,
    "agent steps/s": 13,
    "compile, s": 10,
    "GFLOP/s": 9,
    "of matmul": 9,
    "MFLOP a step": 12,
    "KiB, plan": 9,
    "KiB, XLA": 9,
}
_LEFT = ("mixer", "part")


@dataclass(frozen=True)
class Measurement:
    """The speed of a part of an update, or of its environments alone.

    Attributes:
        part: one of `OF_AGENT`, or `ENVIRONMENT`.
        mixer: of the model; None for the environments alone.
        num_layers: likewise.
        num_steps: agent steps per call.
        compile_seconds: to trace and compile.
        seconds: of each call.
        matmul_speed: FLOP/s of large matrix products, measured just before.
        flops: of the matrix products of an agent step, by the plan.
        plan_bytes: read and written by these products, by the plan.
        xla_bytes: read and written in an agent step by XLA's cost analysis, which counts the body
            of a loop once; None if XLA has none.
    """

    part: str
    mixer: str | None
    num_layers: int | None
    num_steps: int
    compile_seconds: float
    seconds: tuple[float, ...]
    matmul_speed: float | None = None
    flops: float | None = None
    plan_bytes: float | None = None
    xla_bytes: float | None = None

    @property
    def steps_per_second(self) -> float:
        """Agent steps per second, by the median of the calls."""
        return self.num_steps / median(self.seconds)

    @property
    def speed(self) -> float | None:
        """FLOP/s of the matrix products."""
        return None if self.flops is None else self.flops * self.steps_per_second

    @property
    def share(self) -> float | None:
        """The speed relative to that of large matrix products."""
        if self.speed is None or self.matmul_speed is None:
            return None
        return self.speed / self.matmul_speed

    def to_dict(self) -> dict[str, Any]:
        """JSON-able data, with the derived numbers."""
        derived = {
            "steps_per_second": self.steps_per_second,
            "flops_per_second": self.speed,
            "share_of_matmul": self.share,
        }
        return {**asdict(self), **derived}


class _Cost(NamedTuple):
    plan: StepCosts
    xla_bytes: float | None


def measure_environment(config: TrainConfig, repeats: int) -> Measurement:
    """Measures the environments of a run with random actions, for one episode."""
    env = config.make_env()
    level_key, key = jax.random.split(jax.random.key(config.seed))
    keys = jax.random.split(level_key, config.ppo.num_envs)
    levels = jax.jit(jax.vmap(env.generate))(keys)

    def episodes(levels: Any, key: Key[Array, ""]) -> Rollout:
        return play(env, random_policy(env.num_actions), levels, key, env.max_steps).rollout

    program, compile_seconds = _compiled(jax.jit(episodes), levels, key)
    num_steps = config.ppo.num_envs * env.num_agents * env.max_steps
    _, seconds = _timed(lambda _: program(levels, key), None, repeats)
    return Measurement(ENVIRONMENT, None, None, num_steps, compile_seconds, seconds)


def measure(config: TrainConfig, parts: Collection[str], repeats: int) -> Iterator[Measurement]:
    """Measures parts of a run's update, one after the other.

    Args:
        config: of the run.
        parts: which of `OF_AGENT`.
        repeats: calls of each, after a first one that is not counted.
    """
    speed, env, run = matmul_speed(config.model.dtype), config.make_env(), abstract_run(config)
    graphdef, learner = init(config, env)
    costs: dict[str, _Cost] = {}

    def measurement(part: str, compile_seconds: float, seconds: tuple[float, ...]) -> Measurement:
        model = config.model
        costs[part] = cost = _cost(run, part, costs)
        return Measurement(
            part,
            model.mixer,
            model.num_layers,
            config.steps_per_update,
            compile_seconds,
            seconds,
            speed,
            cost.plan.flops,
            cost.plan.bytes,
            cost.xla_bytes,
        )

    def rollout(params: Any, state: Any, key: Key[Array, ""]) -> Any:
        experience = collect(config, env, nnx.merge(graphdef, params), state, key, key)
        return make_batch(config, experience), experience.state, experience.episodes

    def training(learner: Any, batch: TrainBatch, key: Key[Array, ""]) -> Any:
        return train_epochs(config, graphdef, learner, batch, key)

    if ROLLOUT in parts or TRAINING in parts:
        key = jax.random.key(config.seed)
        of_rollout = learner.params, learner.rollout_state, key
        program, compile_seconds = _compiled(jax.jit(rollout), *of_rollout)
        calls = repeats if ROLLOUT in parts else 0
        (batch, *_), seconds = _timed(lambda _, run=program: run(*of_rollout), None, calls)
        if ROLLOUT in parts:
            yield measurement(ROLLOUT, compile_seconds, seconds)
        if TRAINING in parts:
            of_training = learner, batch, key
            program, compile_seconds = _compiled(jax.jit(training), *of_training)
            _, seconds = _timed(lambda _, run=program: run(*of_training), None, repeats)
            yield measurement(TRAINING, compile_seconds, seconds)
        del batch
    if WHOLE in parts:
        program, compile_seconds = _compiled(update, config, env, graphdef, learner)
        _, seconds = _timed(lambda result: program(result[0]), (learner, None), repeats)
        yield measurement(WHOLE, compile_seconds, seconds)


def _compiled(function: Any, *args: Any) -> tuple[Callable[..., Any], float]:
    """A jitted function compiled for its arguments, and the seconds of compiling."""
    begin = time.perf_counter()
    program = function.lower(*args).compile()
    return program, time.perf_counter() - begin


def _timed(call: Callable[[Any], Any], result: Any, repeats: int) -> tuple[Any, tuple[float, ...]]:
    """The last result and the seconds of each call, whose argument is the previous result."""
    result, seconds = jax.block_until_ready(call(result)), []
    for _ in range(repeats):
        begin = time.perf_counter()
        result = jax.block_until_ready(call(result))
        seconds.append(time.perf_counter() - begin)
    return result, tuple(seconds)


def _cost(run: AbstractRun, part: str, known: dict[str, _Cost]) -> _Cost:
    if part == ROLLOUT:
        function, args = rollout_step(run)
        return _Cost(rollout_costs(run, device_fuses()), _bytes(function, args, run.num_streams))
    if part == TRAINING:
        function = jax.grad(partial(minibatch_loss, run.config, run.graphdef), has_aux=True)
        args, ppo = (run.learner.params, run.minibatch), run.config.ppo
        num_steps = run.num_streams * run.num_steps // ppo.num_minibatches
        moved = _bytes(function, args, num_steps / ppo.num_epochs)
        return _Cost(training_costs(run, gradient_costs(run, device_fuses())), moved)
    both = [known[part] if part in known else _cost(run, part, known) for part in OF_AGENT[:2]]
    moved = [cost.xla_bytes for cost in both if cost.xla_bytes is not None]
    return _Cost(
        StepCosts(*map(sum, zip(*(cost.plan for cost in both), strict=True))),
        sum(moved) if len(moved) == len(both) else None,
    )


def _bytes(function: Callable[..., Any], args: Any, num_steps: int | float) -> float | None:
    """Bytes read and written per agent step of a function, by XLA's cost analysis."""
    shapes = jax.tree.map(lambda x: ShapeDtypeStruct(x.shape, x.dtype), args)
    analysis = jax.jit(function).lower(*shapes).compile().cost_analysis() or {}
    moved = analysis.get("bytes accessed")
    return None if moved is None else moved / num_steps


def table_head() -> str:
    """The names of the columns; the last three are per agent step."""
    return _row(list(_COLUMNS))


def table_row(measurement: Measurement) -> str:
    """The row of a measurement."""
    each = measurement
    return _row(
        [
            each.mixer or "",
            str(each.num_layers or ""),
            each.part,
            f"{each.steps_per_second:,.0f}",
            f"{each.compile_seconds:.1f}",
            _scaled(each.speed, 1e9, 1),
            "" if each.share is None else f"{100 * each.share:.0f} %",
            _scaled(each.flops, 1e6, 2),
            _scaled(each.plan_bytes, 1024.0, 0),
            _scaled(each.xla_bytes, 1024.0, 0),
        ]
    )


def _scaled(number: float | None, unit: float, digits: int) -> str:
    return "" if number is None else f"{number / unit:,.{digits}f}"


def _row(cells: list[str]) -> str:
    columns = zip(cells, _COLUMNS.items(), strict=True)
    aligned = (f"{cell:{'<' if name in _LEFT else '>'}{w}}" for cell, (name, w) in columns)
    return "  ".join(aligned).rstrip()
