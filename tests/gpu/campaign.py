"""The first half hour on a GPU, in stages: `python tests/gpu/campaign.py STAGE --out FOLDER`.

Each stage leaves flat files below 16 MiB, eight at most; `train` goes on from an earlier one, on
another machine, too. Needs no network. docs/gpu.md says how to use it.
"""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("check", "profile", "bench", "attention", "train")
PART_BYTES = 15 * 2**20
MOST_FILES = 8
ENDING_SECONDS = 25.0  # for the last update, the checkpoint and its parts
STARTING_SECONDS = 25.0  # for all that comes before compiling
MODULE = "gridmem.baselines"
STEPS = 32  # of attention, timed as one
CARD_TESTS = "tests/gpu/test_card.py"


class Refused(Exception):
    """What cannot be done, in a sentence."""


class Stage:
    """What a stage is given, and its clock.

    Attributes:
        options: of the command line.
        out: where its files go.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.out = options, options.out
        self._deadline = time.monotonic() + 60 * options.minutes

    @property
    def left(self) -> float:
        """Seconds."""
        return max(0.0, self._deadline - time.monotonic())

    def write(self, name: str, text: str) -> None:
        """A file of results, also shown."""
        (self.out / name).write_text(text)
        print(text, flush=True)

    def run(self, name: str, *argv: str, ending: float = 15.0, stop: int = signal.SIGTERM) -> int:
        """A program in a process of its own, shown and kept in a file; its exit code.

        When `ending` seconds are left it is sent `stop`, and soon after killed with all that it
        started.
        """
        command = [sys.executable, *argv]
        print("$", " ".join(command), flush=True)
        file = self.out / name
        before = file.stat().st_size if file.exists() else 0
        with open(file, "ab") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                process.wait(max(1.0, self.left - ending))
            except subprocess.TimeoutExpired:
                process.send_signal(stop)
                try:
                    process.wait(max(1.0, 0.6 * self.left))
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        said = file.read_bytes()[before:].decode(errors="replace")
        print("\n".join(said.splitlines()[-40:]))
        print(f"exit code {code}; {self.left:.0f} s are left", flush=True)
        return code if code >= 0 else 128 - code


def check(stage: Stage) -> int:
    """The tests for a card, and what is installed."""
    workers = str(min(8, os.cpu_count() or 1))  # most of the time goes into compiling
    flags = ["-o", "addopts=", "-p", "no:benchmark", "-n", workers, "-v", "--tb=short"]
    flags += ["--durations=15", "-rs", CARD_TESTS, *shlex.split(stage.options.pytest)]
    code = stage.run("tests.txt", "-m", "pytest", *flags, stop=signal.SIGINT)
    import jax

    from gridmem.baselines.costs.machine import this_machine
    from gridmem.baselines.model.mixers.attention_kernels import cuda_capabilities

    statistics = jax.devices()[0].memory_stats() or {}
    lines = [
        str(this_machine()),
        f"devices: {jax.devices()}",
        f"compute capabilities: {cuda_capabilities()}",
        f"bytes for JAX: {statistics.get('bytes_limit')}",
    ]
    stage.write("machine.txt", "\n".join(lines) + "\n")
    return code


def profile(stage: Stage) -> int:
    """An update's steps a second, and where its time goes, kernel by kernel."""
    from dataclasses import replace

    import jax

    from gridmem.baselines.costs.machine import this_machine
    from gridmem.baselines.ppo.learner import init, update
    from gridmem.baselines.training.attention_choice import choose_attention, try_attention

    config = _config(stage)
    choice = try_attention(config, choose_attention(config))
    config = choice.apply(replace(config, num_seeds=1))
    env = config.make_env()
    graphdef, learner = init(config, env)
    lines, metrics = [str(this_machine()), f"attention: {choice}"], None
    for number in range(4):
        begin = time.perf_counter()
        learner, metrics = update(config, env, graphdef, learner)
        jax.block_until_ready(metrics)
        seconds = time.perf_counter() - begin
        speed = config.steps_per_update / seconds
        compiling = " with compiling" if number == 0 else ""
        lines.append(f"update {number}{compiling}: {seconds:.3f} s, {speed:,.0f} agent steps/s")
    lines.append(f"first ratio error {float(metrics.first_ratio_error):.2e}")
    memory = jax.devices()[0].memory_stats() or {}
    lines.append(f"peak bytes in use {memory.get('peak_bytes_in_use')}")
    with TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            jax.block_until_ready(update(config, env, graphdef, learner)[1])
        lines += kernels_by_time(Path(folder))
    stage.write("profile.txt", "\n".join(lines) + "\n")
    return 0


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


def bench(stage: Stage) -> int:
    """Steps a second of the environment alone, at growing batches, and of the preset's model."""
    codes = []
    for num_envs in stage.options.environments:
        size = ["--num-envs", str(num_envs), "--num-minibatches", "1"]
        codes.append(_bench(stage, f"environment-{num_envs}.json", "--parts", "environment", *size))
    parts = ["--parts", "rollout,training,whole"]
    layers = stage.options.layers or str(_config(stage).model.num_layers)
    codes.append(_bench(stage, "bench.json", "--layers", layers, *parts))
    return next((code for code in codes if code), 0)


def _bench(stage: Stage, out: str, *flags: str) -> int:
    argv = ["-m", f"{MODULE}.bench", "--preset", stage.options.preset, *flags]
    return stage.run("bench.txt", *argv, "--out", str(stage.out / out))


def attention(stage: Stage) -> int:
    """The kernels of attention against each other, in training and in the steps of a rollout."""
    from dataclasses import replace

    import jax
    import jax.numpy as jnp
    import numpy as np
    from flax import nnx
    from jax import lax

    from gridmem.baselines.costs.machine import this_machine
    from gridmem.baselines.model.mixers import make_mixer
    from gridmem.baselines.model.mixers.attention_kernels import (
        attend_in_blocks,
        causal_attention,
        cuda_capabilities,
    )

    config = _config(stage)
    model, env = config.model, config.make_env()
    streams = config.ppo.num_envs * env.num_agents
    batch, length = streams // config.ppo.num_minibatches, env.max_steps
    numbers = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []

    def random(*shape: int) -> Any:
        return jnp.asarray(numbers.normal(size=shape), jnp.dtype(model.dtype))

    def measure(what: str, kernel: str, function: Callable[..., Any], *args: Any) -> None:
        row: dict[str, Any] = {"what": what, "kernel": kernel}
        try:
            program = jax.jit(function)
            jax.block_until_ready(program(*args))
            seconds = []
            for _ in range(20):
                begin = time.perf_counter()
                jax.block_until_ready(program(*args))
                seconds.append(time.perf_counter() - begin)
            row["milliseconds"] = 1e3 * float(np.median(seconds))
        except Exception as error:  # whatever the kernel, the compiler or the driver raise
            row["error"] = str(error).splitlines()[0][:200]
        rows.append(row)

    heads, kv, dim = model.num_heads, model.num_kv_heads, model.head_dim
    query = random(batch, length, heads, dim)
    key, value = random(batch, length, kv, dim), random(batch, length, kv, dim)
    past = jnp.asarray(np.tril(np.ones((length, length), bool)))[None]
    sums = {
        "cudnn": lambda *qkv: jnp.sum(causal_attention(*qkv, past, None).astype(jnp.float32)),
        "xla": lambda *qkv: jnp.sum(attend_in_blocks(*qkv, past).astype(jnp.float32)),
    }
    for kernel, total in sums.items():
        what = f"gradient, {batch} x {length} tokens"
        measure(what, kernel, jax.grad(total, argnums=(0, 1, 2)), query, key, value)
    for room in sorted({min(64, length), length}):
        num_steps = min(STEPS, room)  # in one program, since one is shorter than its launch
        what = f"{num_steps} steps of {streams} streams, the last to see {room} keys"
        x = random(streams, model.width)
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

            cache = mixer.init_cache(streams, room)
            cache = cache._replace(used=jnp.int32(room - num_steps))
            measure(what, kernel, steps, params, x, cache)
    for row in rows:
        print(row)
    results = {"machine": this_machine()._asdict(), "preset": stage.options.preset, "rows": rows}
    stage.write("attention.json", json.dumps(results, indent=2) + "\n")
    return 0


def train(stage: Stage) -> int:
    """Trains the preset; its schedule ends when the training minutes of all stages do."""
    with TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        before = stage.options.source
        if before is not None and list(before.glob("run.tar.*")):
            unpack(before, Path(folder))
            if _is_complete(run):
                print(f"the run in {before} is complete", flush=True)
                pack(run, stage.out)
                return 0
            argv = ["--resume", str(run)]
        else:
            argv = [str(_schedule(stage, before)), "--run-dir", str(run)]
        code = stage.run("train.txt", "-m", f"{MODULE}.train", *argv, ending=ENDING_SECONDS)
        if not (run / "checkpoint").exists():
            print("no checkpoint was written", flush=True)
            return code or 1
        pack(run, stage.out)
    return 0 if code in (0, 130) else code  # stopped at the end of its minutes, it has saved


def _is_complete(run: Path) -> bool:
    from gridmem.baselines.config import from_file
    from gridmem.baselines.runs.run_dir import METRICS, read_metrics

    rows = read_metrics(run / METRICS)
    return bool(rows) and rows[-1]["steps"] >= from_file(run / "config.json").total_steps


def _schedule(stage: Stage, before: Path | None) -> Path:
    """The settings of a run as long as the training minutes, by the speed that was measured."""
    model, begin = _config(stage).model, stage.left
    measured = stage.out / "bench.json" if before is None else before / "bench.json"
    if before is None and _bench(stage, "bench.json", "--parts", "whole", "--repeats", "2"):
        raise Refused("no speed could be measured; give --from the --out of bench")
    whole = [
        row
        for row in json.loads(measured.read_text() or '{"results": []}')["results"]
        if (row["part"], row["mixer"], row["num_layers"])
        == ("whole", model.mixer, model.num_layers)
    ]
    if not whole:
        raise Refused(
            f"{measured} has no whole update of {model.mixer} with {model.num_layers} layers"
        )
    speed, compiling = whole[0]["steps_per_second"], whole[0]["compile_seconds"]
    minutes, each = stage.options.training_minutes, stage.options.minutes
    num_stages = -(-minutes // each)
    lost = num_stages * (compiling + STARTING_SECONDS + ENDING_SECONDS) + begin - stage.left
    seconds = 60 * minutes - lost
    if seconds <= 0:
        raise Refused(
            f"--training-minutes is {minutes:g}; measuring, starting, compiling and ending "
            f"(stages: {num_stages:g}) take {lost:.0f} s of it, so give more"
        )
    from gridmem.baselines.config import to_dict

    settings = to_dict(_config(stage))
    settings["total_steps"] = max(1, int(0.97 * speed * seconds))
    settings["eval_levels"] = 0  # is done elsewhere
    file = stage.out / "settings.json"
    file.write_text(json.dumps(settings, indent=2) + "\n")
    print(f"{settings['total_steps']:,} agent steps at {speed:,.0f} a second", flush=True)
    return file


def pack(run: Path, out: Path) -> None:
    """The run's folder as parts of one archive, `run.tar.0` and so on."""
    for old in out.glob("run.tar.*"):
        old.unlink()
    whole = out / "run.tar"
    with tarfile.open(whole, "w") as archive:
        archive.add(run, "run", filter=lambda file: None if "tensorboard" in file.name else file)
    with open(whole, "rb") as file:
        for number, part in enumerate(iter(lambda: file.read(PART_BYTES), b"")):
            (out / f"run.tar.{number}").write_bytes(part)
    whole.unlink()


def unpack(source: Path, folder: Path) -> None:
    """What `pack` left, as the folder `run` in another one."""
    whole = folder / "run.tar"
    with open(whole, "wb") as file:
        for number in range(len(list(source.glob("run.tar.*")))):
            file.write((source / f"run.tar.{number}").read_bytes())
    with tarfile.open(whole) as archive:
        archive.extractall(folder, filter="data")
    whole.unlink()


def _config(stage: Stage) -> Any:
    from gridmem.baselines.config import from_file
    from gridmem.baselines.presets import preset

    name = stage.options.preset
    return from_file(Path(name)) if name.endswith(".json") else preset(name)


def _with_wheels(wheels: Path) -> None:
    """Starts again with the packages of a folder of wheels."""
    target = Path(TemporaryDirectory(delete=False).name)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    files = sorted(map(str, wheels.glob("*.whl")))
    if not files:
        raise Refused(f"there are no wheels in {wheels}")
    if code := subprocess.run([*install, "--target", str(target), *files]).returncode:
        raise Refused(f"pip could not install the wheels in {wheels} (exit code {code})")
    paths = [str(target), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    argv = list(sys.argv)
    number = next(i for i, word in enumerate(argv) if word.startswith("--wheels"))
    del argv[number : number + 1 + ("=" not in argv[number])]
    os.execv(sys.executable, [sys.executable, *argv])


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--minutes", type=float, default=9.0, help="of this stage; 9")
    parser.add_argument("--out", type=Path, required=True, help="folder for its files")
    parser.add_argument(
        "--from", dest="source", type=Path, help="train: --out of bench, or of train to go on with"
    )
    parser.add_argument("--preset", default="reference", help="of the trainer, or a FILE.json")
    parser.add_argument(
        "--training-minutes", type=float, default=18.0, help="of all stages of train together; 18"
    )
    parser.add_argument("--layers", help="bench: such as 6,2,1; the preset's own number")
    parser.add_argument(
        "--environments", type=int, nargs="*", default=[256, 4096, 16384], help="bench: batches"
    )
    parser.add_argument("--pytest", default="", help="check: more options, such as '-k triton'")
    parser.add_argument("--wheels", type=Path, help="folder of packages to install first")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one stage; returns its exit code, 2 for bad input."""
    try:
        return _main(argv)
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _main(argv: Sequence[str] | None) -> int:
    options = parse(sys.argv[1:] if argv is None else argv)
    if options.wheels is not None:
        _with_wheels(options.wheels)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    )
    sys.path.insert(0, str(ROOT))
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    stage = Stage(options)
    try:
        _config(stage)
    except (OSError, ValueError) as error:
        raise Refused(str(error)) from None
    source = options.source
    if source and not [*source.glob("run.tar.*"), *source.glob("bench.json")]:
        raise Refused(f"{source} has neither run.tar.0 nor bench.json")
    code = globals()[options.stage](stage)
    files = sorted(file for file in options.out.iterdir() if file.is_file())
    for file in files:
        print(f"{file.stat().st_size:>12,} bytes  {file.name}")
    if len(files) > MOST_FILES or any(file.stat().st_size >= 16 * 2**20 for file in files):
        print(f"warning: more than {MOST_FILES} files, or files of 16 MiB and more", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
