"""Steps per second of SAC and TD3 on Pendulum-v1, one environment, one update a step.

    uv run python tests/benchmarks/offpolicy_speed.py gridmem
    uv run --no-project --with sbx-rl python tests/benchmarks/offpolicy_speed.py sbx

One process each, one after the other, on a quiet machine. Compilation is not counted.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

SIZES = (64, 64, 20_000), (256, 256, 4000)  # hidden features of two layers, batch, steps
ALGORITHMS = "sac", "td3"
WARMUP = 1000


def gridmem(algorithm: str, width: int, batch: int, steps: int) -> float:
    """Steps per second of GridMem."""
    import jax

    from gridmem.baselines.presets import preset

    config = preset(algorithm)
    config = replace(
        config,
        model=replace(config.model, width=width),
        method=replace(config.method, batch_size=batch, critic_width=width),
    )
    method = config.make_method()
    state = jax.jit(method.init)()
    for stage in (0, 0, 1):
        state, metrics = method.update(state, stage)
    jax.block_until_ready(metrics)
    began, per_update = time.perf_counter(), config.steps_per_update
    for _ in range(steps // per_update):
        state, metrics = method.update(state, 1)
    jax.block_until_ready(metrics)
    return steps // per_update * per_update / (time.perf_counter() - began)


def sbx(algorithm: str, width: int, batch: int, steps: int) -> float:
    """Steps per second of Stable-Baselines Jax."""
    import sbx as library  # pyright: ignore[reportMissingImports]

    model = getattr(library, algorithm.upper())(
        "MlpPolicy",
        "Pendulum-v1",
        learning_starts=WARMUP,
        batch_size=batch,
        train_freq=1,
        gradient_steps=1,
        policy_kwargs={"net_arch": [width, width]},
    )
    model.learn(WARMUP + 500)
    began = time.perf_counter()
    model.learn(steps, reset_num_timesteps=False)
    return steps / (time.perf_counter() - began)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("library", choices=("gridmem", "sbx"))
    measure: Callable[..., float] = globals()[parser.parse_args().library]
    for width, batch, steps in SIZES:
        for algorithm in ALGORITHMS:
            rates = [measure(algorithm, width, batch, steps) for _ in range(3)]
            shown = ", ".join(f"{rate:,.0f}" for rate in sorted(rates))
            print(f"{algorithm} {width} x {width}, batch {batch}: {shown} steps/s", flush=True)


if __name__ == "__main__":
    main()
