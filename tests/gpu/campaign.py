"""The first half hour on a GPU, in stages: `python tests/gpu/campaign.py STAGE --out FOLDER`.

Each stage leaves flat files below 16 MiB, eight at most; `train` goes on from an earlier one, on
another machine, too. Needs no network. docs/gpu.md says how to use it.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from campaign_kernels import attention, profile
from campaign_runs import runs
from campaign_stage import ROOT, Refused, Stage, config_of, run_bench
from campaign_training import train

MOST_FILES = 8
CARD_TESTS = "tests/gpu/test_card.py"


def check(stage: Stage) -> int:
    """The tests for a card, and what is installed."""
    workers = str(min(8, os.cpu_count() or 1))  # most of the time goes into compiling
    flags = ["-o", "addopts=", "-p", "no:benchmark", "-n", workers, "-v", "--tb=short"]
    flags += ["--durations=15", "-rs", CARD_TESTS, *shlex.split(stage.options.pytest)]
    code = stage.run("tests.txt", "-m", "pytest", *flags, stop=signal.SIGINT)
    import jax

    from gridmem.baselines.costs.hardware import this_machine
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


def bench(stage: Stage) -> int:
    """Steps a second of the environment alone, at growing batches, and of the preset's model."""
    codes = []
    for num_envs in stage.options.environments:
        size = ["--num-envs", str(num_envs), "--num-minibatches", "1"]
        codes.append(
            run_bench(stage, f"environment-{num_envs}.json", "--parts", "environment", *size)
        )
    parts = ["--parts", "rollout,training,whole"]
    layers = stage.options.layers or str(config_of(stage).model.num_layers)
    codes.append(run_bench(stage, "bench.json", "--layers", layers, *parts))
    return next((code for code in codes if code), 0)


RUN = {
    "check": check,
    "profile": profile,
    "bench": bench,
    "attention": attention,
    "train": train,
    "runs": runs,
}
"""Stage -> its function."""


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
    parser.add_argument("stage", choices=list(RUN))
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
    parser.add_argument(
        "--jobs", type=Path, help="runs, profile: a line is a name and the flags of train"
    )
    parser.add_argument("--parallel", type=int, default=4, help="runs: so many at once; 4")
    parser.add_argument("--gate", type=Path, help=argparse.SUPPRESS)
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
        config_of(stage)
    except (OSError, ValueError) as error:
        raise Refused(str(error)) from None
    source = options.source
    if source and not [*source.glob("run.tar.*"), *source.glob("bench.json")]:
        raise Refused(f"{source} has neither run.tar.0 nor bench.json")
    code = RUN[options.stage](stage)
    files = sorted(file for file in options.out.iterdir() if file.is_file())
    for file in files:
        print(f"{file.stat().st_size:>12,} bytes  {file.name}")
    if len(files) > MOST_FILES or any(file.stat().st_size >= 16 * 2**20 for file in files):
        print(f"warning: more than {MOST_FILES} files, or files of 16 MiB and more", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
