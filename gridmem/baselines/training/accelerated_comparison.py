"""The accelerator beside agents that learn from scratch, at equal steps: runs and a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from json import loads
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np

from gridmem.baselines.config import ModelConfig, TrainConfig, from_file
from gridmem.baselines.offpolicy.settings import AcceleratorConfig, TD3Config
from gridmem.baselines.runs.comparison import draw_comparison
from gridmem.baselines.runs.history import RunRecord, read_record
from gridmem.baselines.runs.run_dir import CHECKPOINT, EVALUATION, WEIGHTS, seed_dirs
from gridmem.baselines.tables import aligned
from gridmem.baselines.training.display import echo
from gridmem.baselines.training.loop import Run

AGENTS = "accelerated", "attention", "gru", "lstm", "window-mlp", "none"
PICTURE = "comparison.png"
FIRST_STAGE = "stage1-"
"""Begins the names of copies of what a run had after its first stage."""
_SMALL, _LATER = "attention, small buffer", "attention, small buffer in stage 2"


@dataclass(frozen=True)
class Member:
    """A run of the comparison.

    Attributes:
        name: of its folder.
        label: in the table.
        config: of the whole run.
        first_label: in the table, of the agent after the first stage; empty if it has no row.
        first_steps: of the first stage.
        held: the largest number of transitions in the buffer in each stage.
    """

    name: str
    label: str
    config: TrainConfig
    first_label: str = ""
    first_steps: int = 0
    held: tuple[int, int] = (0, 0)


def members(config: TrainConfig, agent: str | None) -> list[Member]:
    """The runs of a comparison, or that of one agent.

    Args:
        config: of the accelerated run.
        agent: one of `AGENTS`; all if not given.
    """
    settings = config.method
    assert isinstance(settings, AcceleratorConfig)
    total, first, small = config.total_steps, settings.stage1_steps or 0, settings.stage2_buffer
    assert small is not None
    names = [field.name for field in fields(TD3Config)]
    td3 = TD3Config(**{name: getattr(settings, name) for name in names})
    whole = replace(td3, stage1_steps=None, stage2_buffer=None, stage2_learning_rate=None)
    full = min(settings.buffer, first), min(settings.buffer, total)
    perceptron = ModelConfig(
        mixer="none", width=settings.critic_width, num_layers=settings.critic_layers
    )

    def scratch(method: TD3Config, model: ModelConfig) -> TrainConfig:
        return replace(config, method=method, model=model)

    def of_mixer(mixer: str) -> Member:
        model = replace(config.model, mixer=mixer)
        return Member(mixer, mixer, scratch(whole, model), held=full)

    little = min(small, first), small
    found = [
        Member(
            "accelerated",
            "accelerated",
            config,
            "its clone before stage 2",
            first,
            (full[0], small),
        ),
        of_mixer("attention"),
        Member(
            "attention-small",
            _SMALL,
            scratch(replace(whole, buffer=small), config.model),
            held=little,
        ),
        Member("attention-later", _LATER, scratch(td3, config.model), held=(full[0], small)),
        of_mixer("gru"),
        of_mixer("lstm"),
        Member(
            "window-mlp",
            "window-mlp",
            scratch(whole, perceptron),
            "window-mlp at stage 1",
            first,
            full,
        ),
        Member(
            "none", "none (memoryless)", scratch(replace(whole, context=1), perceptron), held=full
        ),
    ]
    return [each for each in found if agent is None or each.name == agent]


def run_all(folder: Path, runs: Sequence[Member], resume: str) -> int:
    """Trains what is not complete, and writes and prints the comparison; returns the exit code.

    Args:
        folder: of the comparison; each run has a folder in it.
        runs: the runs.
        resume: the command that goes on after an interruption.
    """
    for number, member in enumerate(runs, 1):
        echo(f"\n{number} of {len(runs)}: {member.label}")
        for config, ends in _parts(member, folder):
            if code := _train(member, config, resume, ends):
                return code
    records = [record for member in runs for record in _records(folder, member)]
    (folder / PICTURE).write_bytes(draw_comparison(records))
    echo("\n" + "\n".join(table(folder, runs)))
    echo(f"wrote {folder / PICTURE}")
    return 0


def _parts(member: Member, folder: Path) -> list[tuple[TrainConfig, bool]]:
    """Configs to train one after the other, and whether it is the end of the run."""
    whole = replace(member.config, run_dir=str(folder / member.name))
    first = [(replace(whole, total_steps=member.first_steps), False)] if member.first_label else []
    return [*first, (whole, True)]


def _train(member: Member, config: TrainConfig, resume: str, ends: bool) -> int:
    """Trains to the end of a config unless it has been done; returns the exit code."""
    path = Path(config.run_dir or "")
    kept = path / f"{FIRST_STAGE}{EVALUATION}"
    if (path / EVALUATION).exists() and from_file(path / "config.json").total_steps >= (
        config.total_steps
    ):
        return 0
    if not ends and kept.exists():
        return 0
    if (path / CHECKPOINT).exists():
        run = Run.resumed(member.name, config, resume)
    else:
        run = Run.new(member.name, config, resume, "")
    if code := run.run():
        return code
    if not ends:
        for each in seed_dirs(path) or [path]:
            copyfile(each / WEIGHTS, each / f"{FIRST_STAGE}{WEIGHTS}")
        copyfile(path / EVALUATION, kept)
    return 0


def _records(folder: Path, member: Member) -> list[RunRecord]:
    path = folder / member.name
    return [read_record(member.label, each) for each in seed_dirs(path) or [path]]


def table(folder: Path, runs: Sequence[Member]) -> list[str]:
    """The lines of the comparison: medians over seeds of the evaluations' mean returns."""
    lines = [["", "steps", "return", "lowest", "highest", "buffer 1", "buffer 2"]]

    def line(label: str, path: Path, steps: int, held: Sequence[str]) -> None:
        returns = _returns(path)
        numbers = np.median(returns), min(returns), max(returns)
        lines.append([label, f"{steps:,}", *(f"{each:.1f}" for each in numbers), *held])

    for member in runs:
        path, held = folder / member.name, [f"{each:,}" for each in member.held]
        if member.first_label:
            first = path / f"{FIRST_STAGE}{EVALUATION}"
            line(member.first_label, first, member.first_steps, [held[0], ""])
        line(member.label, path / EVALUATION, member.config.total_steps, held)
    number = runs[0].config.num_seeds
    what = "of 1 seed" if number == 1 else f"medians of {number} seeds"
    levels = runs[0].config.eval_levels
    return [
        *aligned(lines),
        f"mean returns of {levels} episodes, {what}; buffer: the most transitions held in each "
        "stage",
    ]


def _returns(path: Path) -> list[float]:
    rows: list[Mapping[str, Any]] = loads(path.read_text(encoding="utf-8"))["rows"]
    return [row["episode_return"] for row in rows if row["player"] == "sampled"]
