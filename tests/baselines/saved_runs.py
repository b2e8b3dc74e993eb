"""Run folders: some like those of the trainer, with untrained agents, and what programs write."""

import json
from dataclasses import replace
from pathlib import Path

import tiny

from gridmem.baselines.agent import WEIGHTS
from gridmem.baselines.config import to_dict
from gridmem.baselines.runs.weights import to_bytes

SMALL = tiny.config(model={"num_layers": 1})
# By the rules of its id, so that it has a score.
SCORED = tiny.config(
    env={"max_steps": None, "view_size": 3}, model={"mixer": "none", "num_layers": 1}
)


def save(folder, config, rows=()):
    """Writes config, weights and metrics; returns the folder."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(to_dict(config)))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    params = tiny.start(replace(config, run_dir=None))[1].params
    (folder / WEIGHTS).write_bytes(to_bytes(config, params, 0))
    return folder


def run(program, capfd, words):
    """The exit code of a program, and what it prints to stdout and stderr."""
    code = program.main(words.split())
    out, err = capfd.readouterr()
    return code, out, err


def rows_of(folder):
    """The metrics of each update of a run, without times."""
    rows = [json.loads(line) for line in Path(folder, "metrics.jsonl").read_text().splitlines()]
    return [{name: x for name, x in row.items() if name != "seconds"} for row in rows]
