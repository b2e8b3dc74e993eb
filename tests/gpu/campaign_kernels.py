"""Stages that time kernels: a profile of an update, and attention by each kernel."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from campaign_stage import Refused, Stage, config_of, last_lines, read_jobs

STEPS = 32  # of attention, timed as one
CAMPAIGN = Path(__file__).with_name("campaign.py")
UPDATES = 8  # that are timed: of parts of an episode, some whole episodes


def profile(stage: Stage) -> int:
    """An update's steps a second, and where its time goes, kernel by kernel.

    With `--jobs` those of each line, compiled at once and timed one after another.
    """
    if stage.options.jobs is not None:
        return _profiles(stage)
    from dataclasses import replace
    from statistics import median

    import jax

    from gridmem.baselines.costs.hardware import this_machine
    from gridmem.baselines.ppo.learner import init, update
    from gridmem.baselines.training.kernel_choice import choose_kernels, try_kernels

    config = config_of(stage)
    choice = try_kernels(config, choose_kernels(config))
    config = choice.apply(replace(config, num_seeds=1))
    env = config.make_env()
    graphdef, learner = init(config, env)
    lines, metrics, times = [str(this_machine()), f"kernels: {choice}"], None, []
    for number in range(1 + UPDATES):
        begin = time.perf_counter()
        learner, metrics = update(config, env, graphdef, learner)
        jax.block_until_ready(metrics)
        seconds = time.perf_counter() - begin
        times.append(seconds)
        speed = config.steps_per_update / seconds
        compiling = " with compiling" if number == 0 else ""
        lines.append(f"update {number}{compiling}: {seconds:.4f} s, {speed:,.0f} agent steps/s")
        if number == 0 and stage.options.gate is not None:
            _wait_for_turn(stage.options.gate)
    speed = config.steps_per_update / median(times[1:])
    lines.append(f"median of {UPDATES}: {median(times[1:]):.4f} s, {speed:,.0f} agent steps/s")
    lines.append(f"first ratio error {float(metrics.first_ratio_error):.2e}")
    memory = jax.devices()[0].memory_stats() or {}
    lines.append(f"peak bytes in use {memory.get('peak_bytes_in_use')}")
    with TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            jax.block_until_ready(update(config, env, graphdef, learner)[1])
        lines += kernels_by_time(Path(folder))
    stage.write("profile.txt", "\n".join(lines) + "\n")
    return 0


def _profiles(stage: Stage) -> int:
    from gridmem.baselines.config import to_dict
    from gridmem.baselines.training.cli import parse

    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # they share the memory of the card
    jobs = dict(read_jobs(stage.options.jobs))
    settings = {}
    for name, flags in jobs.items():
        try:
            settings[name] = to_dict(parse(flags, "profile").config)
        except ValueError as error:
            where = f"line {name!r} of {stage.options.jobs}"
            raise Refused(f"{where} has settings that cannot be used: {error}") from None
    going: dict[Path, subprocess.Popen[bytes]] = {}
    with TemporaryDirectory() as folder:
        for name, config in settings.items():
            out = Path(folder) / name
            out.mkdir()
            preset = out / "settings.json"
            preset.write_text(json.dumps(config))
            argv = [CAMPAIGN, "profile", "--preset", preset, "--out", out, "--gate", out]
            with open(out / "log.txt", "wb") as log:
                process = subprocess.Popen(
                    [sys.executable, *map(str, argv)], stdout=log, stderr=subprocess.STDOUT
                )
            going[out] = process
        try:
            for out, process in going.items():
                while not (out / COMPILED).exists() and process.poll() is None and stage.left:
                    time.sleep(0.05)
            for out, process in going.items():
                (out / GO).touch()
                process.wait(stage.left)
        except subprocess.TimeoutExpired:
            print("no time is left", flush=True)
        finally:
            for process in going.values():
                process.kill()
                process.wait()
        results = (out / "profile.txt" for out in going)
        texts = (
            f"{file.parent.name}: {' '.join(jobs[file.parent.name])}\n"
            + (file.read_text() if file.exists() else last_lines(file.with_name("log.txt")) + "\n")
            for file in results
        )
        stage.write("profile.txt", "\n".join(texts))
        return 0 if all((out / "profile.txt").exists() for out in going) else 1


COMPILED, GO = "compiled", "go"


def _wait_for_turn(folder: Path) -> None:
    """Says that the program is compiled, and waits until all are and others are not timed."""
    (folder / COMPILED).touch()
    while folder.exists() and not (folder / GO).exists():
        time.sleep(0.05)


def kernels_by_time(folder: Path, most: int = 60) -> list[str]:
    """The lines of a table: what ran on the device in a trace, the longest in all first."""
    from collections import Counter

    import jax

    lines = []
    for file in folder.rglob("*.xplane.pb"):
        planes = list(jax.profiler.ProfileData.from_file(str(file)).planes)
        on_card = [plane for plane in planes if "GPU" in plane.name]
        for plane in on_card or [plane for plane in planes if "CPU" in plane.name]:
            for line in plane.lines:
                seconds, count = Counter[str](), Counter[str]()
                for event in line.events:
                    seconds[event.name] += event.duration_ns / 1e9
                    count[event.name] += 1
                if not seconds:
                    continue
                total = sum(seconds.values())
                lines.append(f"{plane.name}, {line.name}: {total:.4f} s in {count.total()} events")
                for name, each in seconds.most_common(most):
                    share = each / total if total else 0
                    lines.append(f"  {each:9.5f} s {share:6.1%} {count[name]:8d} x {name[:110]}")
    return lines


def attention(stage: Stage) -> int:
    """The kernels of attention against each other, in training and in the steps of a rollout."""
    from gridmem.baselines.costs.hardware import this_machine

    config = config_of(stage)
    rows = [*_gradients(config), *_continued_gradients(config), *_rollout_steps(config)]
    for row in rows:
        print(row)
    results = {"machine": this_machine()._asdict(), "preset": stage.options.preset, "rows": rows}
    stage.write("attention.json", json.dumps(results, indent=2) + "\n")
    return 0


def _gradients(config: Any) -> Iterator[dict[str, Any]]:
    """Times the gradient of attention over the sequences of a minibatch, by cuDNN and XLA."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from gridmem.baselines.model.mixers.attention_kernels import (
        attend_in_blocks,
        causal_attention,
    )

    model, env = config.model, config.make_env()
    batch = config.ppo.num_envs * env.num_agents // config.ppo.num_minibatches
    length, dtype = env.max_steps, jnp.dtype(model.dtype)
    past = jnp.asarray(np.tril(np.ones((length, length), bool)))[None]
    sums = {
        "cudnn": lambda *qkv: jnp.sum(causal_attention(*qkv, past, None).astype(jnp.float32)),
        "xla": lambda *qkv: jnp.sum(attend_in_blocks(*qkv, past).astype(jnp.float32)),
    }
    numbers = np.random.default_rng(0)
    heads = model.num_heads, model.num_kv_heads, model.num_kv_heads
    shapes = ((batch, length, number, model.head_dim) for number in heads)
    inputs = [jnp.asarray(numbers.normal(size=shape), dtype) for shape in shapes]
    for kernel, total in sums.items():
        gradient = jax.grad(total, argnums=(0, 1, 2))
        yield _timed(f"gradient, {batch} x {length} tokens", kernel, gradient, *inputs)


def _continued_gradients(config: Any) -> Iterator[dict[str, Any]]:
    """The same of a quarter of an episode after kept tokens, by Triton and XLA."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from gridmem.baselines.model.mixers.continued_attention import by_xla, continued_attention

    model, env = config.model, config.make_env()
    batch = config.ppo.num_envs * env.num_agents // config.ppo.num_minibatches
    kept, dtype = env.max_steps, jnp.dtype(model.dtype)
    length, source = max(1, kept // 4), np.random.default_rng(0)
    heads = model.num_heads, model.num_kv_heads, model.num_kv_heads
    new = [(batch, length, number, model.head_dim) for number in heads]
    old = (model.head_dim, kept), (kept, model.head_dim)
    shapes = new + [(batch, model.num_kv_heads, *shape) for shape in old]
    inputs = [jnp.asarray(source.normal(size=shape), dtype) for shape in shapes]
    first = jnp.full((batch, length), kept // 2, jnp.int32)  # the mean over an episode
    what = f"gradient, {batch} x {length} tokens after {kept}"
    for kernel, attend in (("triton", continued_attention), ("xla", by_xla)):

        def total(*new: Any, attend: Any = attend) -> Any:
            return jnp.sum(attend(*new, *inputs[3:], first, jnp.int32(kept)).astype(jnp.float32))

        yield _timed(what, kernel, jax.grad(total, argnums=(0, 1, 2)), *inputs[:3])


def _rollout_steps(config: Any) -> Iterator[dict[str, Any]]:
    """Times steps of the attention mixer over its cache, by Triton and XLA."""
    from dataclasses import replace

    import jax
    import jax.numpy as jnp
    from flax import nnx
    from jax import lax

    from gridmem.baselines.model.mixers import make_mixer
    from gridmem.baselines.model.mixers.attention_kernels import cuda_capabilities

    model, env = config.model, config.make_env()
    num_streams = config.ppo.num_envs * env.num_agents
    x = jax.random.normal(jax.random.key(0), (num_streams, model.width), jnp.dtype(model.dtype))
    for room in sorted({min(64, env.max_steps), env.max_steps}):
        num_steps = min(STEPS, room)  # in one program, since one is shorter than its launch
        what = f"{num_steps} steps of {num_streams} streams, the last to see {room} keys"
        for kernel in ("triton", "xla") if cuda_capabilities() else ("xla",):
            mixer = make_mixer(replace(model, decode=kernel), nnx.Rngs(params=jax.random.key(0)))
            graphdef, params = nnx.split(mixer)

            def steps(
                params: Any,
                x: Any,
                cache: Any,
                graphdef: Any = graphdef,
                num_steps: int = num_steps,
            ) -> Any:
                mixer = nnx.merge(graphdef, params)
                weights = mixer.prepare()

                def step(carry: Any, _: None) -> Any:
                    return mixer.step(*carry, None, weights), None

                return lax.scan(step, (x, cache), length=num_steps)[0]

            cache = mixer.init_cache(num_streams, room)
            cache = cache._replace(used=jnp.int32(room - num_steps))
            yield _timed(what, kernel, steps, params, x, cache)


def _timed(what: str, kernel: str, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
    """The median time of a function, or the error that it raises."""
    from statistics import median

    import jax

    row: dict[str, Any] = {"what": what, "kernel": kernel}
    try:
        program = jax.jit(function)
        jax.block_until_ready(program(*args))
        seconds = []
        for _ in range(20):
            begin = time.perf_counter()
            jax.block_until_ready(program(*args))
            seconds.append(time.perf_counter() - begin)
        row["milliseconds"] = 1e3 * median(seconds)
    except Exception as error:  # whatever the kernel, the compiler or the driver raise
        row["error"] = str(error).splitlines()[0][:200]
    return row
