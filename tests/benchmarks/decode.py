"""Caches that grow between scans against caches of full length, in the reference's rollout.

    uv run python tests/benchmarks/decode.py [--agents 64] [--chunks 16 32 64 128 256 512]

"rollout" is the whole one, "attention" the steps of its six mixers alone, one after the other, on
tokens that are given. With chunks as long as an episode every step reads the keys of all of it. All
variants run by turns in one process; medians. Whether they give the same is checked.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from machine import machine

from gridmem import Env
from gridmem.baselines.config import TrainConfig
from gridmem.baselines.model.mixers import make_mixer
from gridmem.baselines.model.policy import model_policy
from gridmem.baselines.ppo.learner import build_model
from gridmem.baselines.presets import preset
from gridmem.envs.batch.rollout import play

CHUNKS = (16, 32, 64, 128, 256, 512)


def settings(num_agents: int) -> TrainConfig:
    """The reference on fewer streams: in float32 on a CPU, as it is elsewhere."""
    config = preset("reference")
    dtype = "float32" if jax.default_backend() == "cpu" else config.model.dtype
    num_envs = num_agents // config.make_env().num_agents
    return replace(
        config,
        model=replace(config.model, dtype=dtype),
        method=replace(config.ppo, num_envs=num_envs),
    )


def rollout(config: TrainConfig, env: Env, chunk_steps: int) -> tuple[Callable[..., Any], Any]:
    """Whole episodes of fresh agents, and its arguments."""
    graphdef, params = nnx.split(build_model(config, env, jax.random.key(0)))
    levels = jax.vmap(env.generate)(jax.random.split(jax.random.key(1), config.ppo.num_envs))

    def episodes(params: Any, levels: Any, key: jax.Array) -> Any:
        policy = model_policy(nnx.merge(graphdef, params))
        played = play(env, policy, levels, key, chunk_steps).rollout
        return played.extras.value, played.action

    return episodes, (params, levels, jax.random.key(2))


def attention(config: TrainConfig, env: Env, chunk_steps: int) -> tuple[Callable[..., Any], Any]:
    """The steps of the mixers alone, and its arguments."""
    model, num_streams = config.model, config.ppo.num_envs * env.num_agents
    rngs = nnx.Rngs(0)
    layers = [nnx.split(make_mixer(model, rngs)) for _ in range(model.num_layers)]
    tokens = jax.random.normal(jax.random.key(1), (env.max_steps, num_streams, model.width))
    tokens = tokens.astype(model.dtype)

    def steps(params: Any, tokens: jax.Array) -> Any:
        mixers = [nnx.merge(graphdef, p) for (graphdef, _), p in zip(layers, params, strict=True)]
        weights = [mixer.prepare() for mixer in mixers]

        def step(caches: Any, x: jax.Array) -> Any:
            after = []
            for mixer, cache, prepared in zip(mixers, caches, weights, strict=True):
                mixed, cache = mixer.step(x, cache, None, prepared)
                x = x + mixed
                after.append(cache)
            return after, x

        caches, outputs = [mixer.init_cache(num_streams, 0) for mixer in mixers], []
        for begin in range(0, len(tokens), chunk_steps):
            end = min(begin + chunk_steps, len(tokens))
            grown = [mixer.grow(c, end) for mixer, c in zip(mixers, caches, strict=True)]
            caches, output = lax.scan(step, grown, tokens[begin:end])
            outputs.append(output)
        return (jnp.concatenate(outputs),)

    return steps, ([params for _, params in layers], tokens)


def compiled(function: Callable[..., Any], args: Any) -> tuple[Callable[[], Any], float]:
    """The compiled call, and the seconds to trace and compile it."""
    begin = time.perf_counter()
    program = jax.jit(function).lower(*args).compile()
    return lambda: jax.block_until_ready(program(*args)), time.perf_counter() - begin


def seconds_of(call: Callable[[], Any]) -> float:
    """How long a call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def difference(result: Any, expected: Any) -> str:
    """By how much outputs differ at most; of a rollout also how many actions do."""
    value, *action = (np.asarray(x).astype(np.float64) for x in result)
    true, *taken = (np.asarray(x).astype(np.float64) for x in expected)
    others = "".join(f", {np.sum(a != b)} actions" for a, b in zip(action, taken, strict=True))
    return f"{np.abs(value - true).max():.0e}{others}"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=64)
    parser.add_argument("--chunks", type=int, nargs="+", default=CHUNKS)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)
    config = settings(options.agents)
    env = config.make_env()
    print(f"{machine('flax')}; {options.agents} agents, {config.model.dtype}")
    print(f"{options.repeats} repeats\n")
    print("            chunk  compile, s  seconds  full / this  differs by at most")
    for part in (attention, rollout):
        calls, compile_seconds = {}, {}
        for chunk_steps in options.chunks:
            calls[chunk_steps], compile_seconds[chunk_steps] = compiled(
                *part(config, env, chunk_steps)
            )
        results = {chunk_steps: call() for chunk_steps, call in calls.items()}
        taken: dict[int, list[float]] = {chunk_steps: [] for chunk_steps in calls}
        for _ in range(options.repeats):
            for chunk_steps, call in calls.items():
                taken[chunk_steps].append(seconds_of(call))
        longest = max(calls)
        full = statistics.median(taken[longest])
        for chunk_steps, each in taken.items():
            median = statistics.median(each)
            told = difference(results[chunk_steps], results[longest])
            print(
                f"{part.__name__:10}{chunk_steps:7}{compile_seconds[chunk_steps]:12.1f}"
                f"{median:9.2f}{full / median:13.2f}  {told}",
                flush=True,
            )


if __name__ == "__main__":
    main()
