"""Measures the speed of the parts of an update on this process's first device."""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import ShapeDtypeStruct
from jaxtyping import Array, Key

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.costs.abstract_run import AbstractRun, abstract_run
from gridmem.baselines.costs.hardware import matmul_speed
from gridmem.baselines.costs.jaxpr_costs import device_fuses
from gridmem.baselines.costs.step_costs import (
    gradient_costs,
    gradient_step,
    rollout_costs,
    rollout_step,
    training_costs,
)
from gridmem.baselines.ppo.curriculum import in_growth
from gridmem.baselines.ppo.learner import TrainBatch, init, make_batches, train_epochs, update
from gridmem.baselines.ppo.rollout import collect
from gridmem.envs.batch.policy import random_policy
from gridmem.envs.batch.rollout import Rollout, play

ENVIRONMENT, ROLLOUT, TRAINING, WHOLE = "environment", "rollout", "training", "whole"
OF_AGENT = (ROLLOUT, TRAINING, WHOLE)
TABLE_HEAD = (
    "mixer      layers  part         agent steps/s  compile, s    GFLOP/s  of matmul  MFLOP a step"
    "  KiB, plan   KiB, XLA"
)
_ROW = "{:9}  {:>6}  {:11}  {:>13}  {:>10}  {:>9}  {:>9}  {:>12}  {:>9}  {:>9}"


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
        return asdict(self) | {
            "steps_per_second": self.steps_per_second,
            "flops_per_second": self.speed,
            "share_of_matmul": self.share,
        }


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
    """Measures parts of a run's update, one after the other; with its teacher, if it has one.

    Args:
        config: of the run.
        parts: which of `OF_AGENT`.
        repeats: calls of each, after a first one that is not counted.
    """
    speed, env, run = matmul_speed(config.model.dtype), config.make_env(), abstract_run(config)
    graphdef, learner = init(config, env, run.teacher)
    teachers = () if run.teacher is None else (run.teacher,)

    @cache
    def costs(part: str) -> tuple[Any, ...]:
        if part != WHOLE:
            return _costs(run, part)
        both = zip(costs(ROLLOUT), costs(TRAINING), strict=True)
        return tuple(None if None in pair else sum(pair) for pair in both)

    def measurement(part: str, compile_seconds: float, seconds: tuple[float, ...]) -> Measurement:
        model, num_steps = config.model, config.steps_per_update
        timing = compile_seconds, seconds, speed
        return Measurement(part, model.mixer, model.num_layers, num_steps, *timing, *costs(part))

    def rollout(params: Any, state: Any, key: Key[Array, ""]) -> Any:
        model = nnx.merge(graphdef, params)
        played = in_growth(config, env)
        experience = collect(config, played, model, state, key, key, teacher=run.teacher)
        batches = make_batches(config, env, experience, jnp.float32(1) if teachers else None)
        return batches, experience.state, experience.episodes

    def training(learner: Any, batches: list[TrainBatch], key: Key[Array, ""]) -> Any:
        return train_epochs(config, graphdef, learner, batches, key)

    if ROLLOUT in parts or TRAINING in parts:
        key = jax.random.key(config.seed)
        of_rollout = learner.params, learner.rollout_state, key
        program, compile_seconds = _compiled(jax.jit(rollout), *of_rollout)
        calls = repeats if ROLLOUT in parts else 0
        (batches, *_), seconds = _timed(lambda _, run=program: run(*of_rollout), None, calls)
        if ROLLOUT in parts:
            yield measurement(ROLLOUT, compile_seconds, seconds)
        if TRAINING in parts:
            of_training = learner, batches, key
            program, compile_seconds = _compiled(jax.jit(training), *of_training)
            _, seconds = _timed(lambda _, run=program: run(*of_training), None, repeats)
            yield measurement(TRAINING, compile_seconds, seconds)
        del batches
    if WHOLE in parts:
        program, compile_seconds = _compiled(update, config, env, graphdef, learner, *teachers)
        _, seconds = _timed(lambda result: program(result[0], *teachers), (learner, None), repeats)
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


def _costs(run: AbstractRun, part: str) -> tuple[float, float, float | None]:
    """FLOP and bytes by the plan and bytes by XLA, per agent step of the rollout or training."""
    if part == ROLLOUT:
        plan, (function, args) = rollout_costs(run, device_fuses()), rollout_step(run)
        num_steps = float(run.num_streams)
    else:
        plan = training_costs(run, gradient_costs(run, device_fuses()))
        function, args = gradient_step(run)
        num_minibatches, num_epochs = run.config.ppo.num_minibatches, run.config.ppo.num_epochs
        num_steps = run.num_streams * run.num_steps // num_minibatches / num_epochs
    shapes = jax.tree.map(lambda x: ShapeDtypeStruct(x.shape, x.dtype), args)
    analysis = jax.jit(function).lower(*shapes).compile().cost_analysis() or {}
    moved = analysis.get("bytes accessed")
    return plan.flops, plan.bytes, None if moved is None else moved / num_steps


def table_row(measurement: Measurement) -> str:
    """The row of a measurement."""
    each = measurement
    return _ROW.format(
        each.mixer or "",
        each.num_layers or "",
        each.part,
        f"{each.steps_per_second:,.0f}",
        f"{each.compile_seconds:.1f}",
        _scaled(each.speed, 1e9, 1),
        "" if each.share is None else f"{100 * each.share:.0f} %",
        _scaled(each.flops, 1e6, 2),
        _scaled(each.plan_bytes, 1024.0, 0),
        _scaled(each.xla_bytes, 1024.0, 0),
    ).rstrip()


def _scaled(number: float | None, unit: float, digits: int) -> str:
    return "" if number is None else f"{number / unit:,.{digits}f}"
