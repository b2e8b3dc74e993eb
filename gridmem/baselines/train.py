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
NEEDED = ("flax", "matplotlib", "optax", "orbax", "rich", "safetensors", "tensorboardX")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code.

    0 when all is done, 1 if the numbers failed, 2 for bad input, 130 if interrupted.
    """
    from gridmem.cli_utils import run

    return run(lambda: _train(sys.argv[1:] if argv is None else argv))


def _train(argv: Sequence[str]) -> int:
    from gridmem.cli_utils import require

    require("training", *NEEDED)
    from gridmem.baselines.training.cli import parse

    train = _prepare(parse(argv, f"python -m {MODULE}"), argv)
    try:
        return train() if train else 0
    except ValueError as error:  # no longer bad input
        raise RuntimeError("training failed; please report this") from error


def _prepare(command: "Command", argv: Sequence[str]) -> Callable[[], int] | None:
    """The training run that is asked for, None if all has been said already.

    Raises:
        ValueError: for what cannot be done, before anything is begun.
    """
    from gridmem.baselines.config import to_dict
    from gridmem.baselines.costs.plan import plan, problem, table
    from gridmem.baselines.ppo.sharding import is_first, join
    from gridmem.baselines.training.attention_choice import choose_attention, try_attention

    config = command.config
    if config.deterministic:  # before JAX reads it
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()
    if command.distributed or command.coordinator is not None:
        join(command.coordinator, command.num_processes, command.process_id)
        if not is_first():
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if command.print_config:
        print(json.dumps(to_dict(config), indent=2))
        return None
    attention = choose_attention(config)
    planned = plan(attention.apply(config))
    if command.plan:
        print(table(planned))
        return None
    if sentence := problem(planned):
        raise ValueError(sentence)
    from gridmem.baselines.training.loop import Run
    from gridmem.baselines.training.trackers import check_trackers

    check_trackers(config)
    tried = try_attention(config, attention)
    if tried != attention and (sentence := problem(plan(tried.apply(config)))):
        raise ValueError(f"{tried}; with it {sentence}")
    attention = tried
    together = _together(command)
    resume = shlex.join(["-m", MODULE, *together, "--resume"])
    resume = f"{_python()} {resume}"
    if command.resume is not None:
        return Run.resumed(command.name, config, resume, attention).run
    advice = comparison(argv, config.model.mixer, config.run_dir if together else None)
    return Run.begun(command.name, config, resume, advice, attention).run


def _together(command: "Command") -> list[str]:
    """The flags that make this process one of several."""
    words = ["--distributed"] if command.distributed else []
    if command.coordinator is not None:
        words += ["--coordinator", command.coordinator]
        words += ["--num-processes", str(command.num_processes)]
        words += ["--process-id", str(command.process_id)]
    return words


def comparison(argv: Sequence[str], mixer: str, run_dir: str | None = None) -> str:
    """The command for the same run with memory instead of without, or the other way round.

    Args:
        argv: what the run was begun with.
        mixer: of the run.
        run_dir: where it is kept, if the other one must be told of a folder, too.
    """
    words = list(argv)
    for flag in ("--mixer", "--run-dir"):
        for number, word in enumerate(words):
            if word.split("=")[0].replace("_", "-") == flag:
                del words[number : number + 1 + ("=" not in word)]
                break
    other = "none" if mixer != "none" else "attention"
    words += ["--mixer", other]
    if run_dir is not None:
        words += ["--run-dir", f"{run_dir}-{other}"]
    return f"{_python()} {shlex.join(['-m', MODULE, *words])}"


def _python() -> str:
    """How the user's shell calls this Python."""
    return "uv run python" if "UV" in os.environ else "python"  # uv sets it for what it runs


if __name__ == "__main__":
    sys.exit(main())
