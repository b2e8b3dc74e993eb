"""Trains the reference agent: `python -m gridmem.baselines.train [PRESET] [FLAGS]`."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gridmem.baselines.training.cli import Command

MODULE = "gridmem.baselines.train"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code.

    0 when all is done, 1 if training failed, 2 for bad input, 130 if interrupted.
    """
    from gridmem.cli_utils import run

    return run(lambda: _train(sys.argv[1:] if argv is None else argv))


def _train(argv: Sequence[str]) -> int:
    from gridmem.cli_utils import TRAINING, import_modules, require

    require("training", *TRAINING)
    words = import_modules(argv)
    from gridmem.baselines.training.cli import parse

    train = _prepare(parse(words, f"python -m {MODULE}"), argv)
    try:
        return train() if train else 0
    except ValueError as error:  # no longer bad input
        raise RuntimeError("training failed; please report this") from error


def _prepare(command: "Command", argv: Sequence[str]) -> Callable[[], int] | None:
    """The training run of a command; None if the command only prints something.

    Raises:
        ValueError: for an invalid command or a run that does not fit, before the run starts.
    """
    from gridmem.baselines.config import to_dict
    from gridmem.baselines.costs.plan import plan, problem, table
    from gridmem.baselines.ppo.settings import PPOConfig, check_can_learn
    from gridmem.baselines.ppo.sharding import init_distributed, is_main_process
    from gridmem.baselines.training.kernel_choice import XLA, choose_kernels, try_kernels
    from gridmem.cli_utils import cache_programs
    from gridmem.envs.batch.mixture import compiles_slowly

    config = command.config
    if compiles_slowly(config.make_env()):
        cache_programs()
    if config.deterministic:  # before JAX reads it
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()
    prints = True
    if command.distributed or command.coordinator is not None:
        init_distributed(command.coordinator, command.num_processes, command.process_id)
        prints = is_main_process()
    if command.print_config:
        if prints:
            print(json.dumps(to_dict(config), indent=2))
        return None
    is_ppo, tried = isinstance(config.method, PPOConfig), XLA
    if command.plan and not is_ppo:
        raise ValueError(f"--plan is for ppo, and the method is {config.method.name}")
    if is_ppo:
        check_can_learn(config)
        resumed = command.resume is not None
        attention = choose_kernels(config, resumed=resumed)
        planned = plan(attention.apply(config))
        try:
            text = table(planned) if command.plan else problem(planned)
        except (MemoryError, OverflowError) as error:
            raise ValueError(
                f"the run is too large to be planned ({error}); lower --view-size, --num-agents or "
                "--num-envs"
            ) from None
        if command.plan:
            if prints:
                print(text)
            return None
        if text:
            raise ValueError(text)
        tried = try_kernels(config, attention, resumed)
        if tried != attention and (sentence := problem(plan(tried.apply(config)))):
            raise ValueError(f"{tried}; with it {sentence}")
    from gridmem.baselines.training.loop import Run
    from gridmem.baselines.training.trackers import check_trackers
    from gridmem.cli_utils import imported, python_command

    check_trackers(config)
    distributed = distributed_flags(command)
    imports = [word for module in imported(argv) for word in ("--import", module)]
    resume = f"{python_command()} {shlex.join(['-m', MODULE, *imports, *distributed, '--resume'])}"
    if command.resume is not None:
        return Run.resumed(command.name, config, resume, tried).run
    advice = ""
    if "model" in config.method.sections and config.init_from is None:
        run_dir, model = config.run_dir if distributed else None, config.model
        advice = comparison(argv, model.mixer, run_dir, model.kv_dtype)
    return Run.new(command.name, config, resume, advice, tried).run


def distributed_flags(command: "Command") -> list[str]:
    """The flags that make this process one of several."""
    words = ["--distributed"] if command.distributed else []
    if command.coordinator is not None:
        words += ["--coordinator", command.coordinator]
        words += ["--num-processes", str(command.num_processes)]
        words += ["--process-id", str(command.process_id)]
    return words


def comparison(
    argv: Sequence[str], mixer: str, run_dir: str | None = None, kv_dtype: str = "model"
) -> str:
    """The command of the same run without memory, or with memory if it has none.

    Args:
        argv: of the run.
        mixer: of the run.
        run_dir: its directory, if the other run must name one, too.
        kv_dtype: of the run.
    """
    from gridmem.cli_utils import python_command

    words = list(argv)
    for flag in ("--mixer", "--kv-dtype", "--run-dir"):
        for number, word in enumerate(words):
            if word.split("=")[0].replace("_", "-") == flag:
                del words[number : number + 1 + ("=" not in word)]
                break
    other = "none" if mixer != "none" else "attention"
    words += ["--mixer", other]
    if kv_dtype != "model":  # perhaps by a file
        words += ["--kv-dtype", "model"]
    if run_dir is not None:
        words += ["--run-dir", f"{run_dir}-{other}"]
    return f"{python_command()} {shlex.join(['-m', MODULE, *words])}"


if __name__ == "__main__":
    sys.exit(main())
