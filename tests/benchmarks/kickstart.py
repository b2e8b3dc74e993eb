"""Does a student learn faster from a teacher: `python tests/benchmarks/kickstart.py --out DIR`.

Trains agents in GridMem-13x13-v0 from the released agent, from the oracle and from nothing, with
the same settings otherwise. Prints the agent steps after which the score of the training episodes,
whose levels are new each time, first reaches 0.95 times the teacher's score on the stored levels
(the mean over a fortieth of the budget; a run that never does has none), and the score of each run
on the stored levels at its end. Runs that are in DIR are not trained again.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from gridmem.baselines.runs.history import read_record

ID, SHARE = "GridMem-13x13-v0", 0.95
SETTINGS = (
    f"--env-id {ID} --view-size None --max-steps None --optimizer muon --learning-rate 1e-3 "
    "--num-envs 256"
)
TEACHERS = {"teacher": ID, "oracle": "oracle", "new": None}


def program(name: str, *words: str) -> None:
    """Runs a program of the package."""
    subprocess.run([sys.executable, "-m", f"gridmem.baselines.{name}", *words], check=True)


def scores(folder: Path, *agents: str) -> list[float]:
    """Those of agents with sampled actions on the stored levels; evaluates what is missing."""
    if not folder.exists():
        program("evaluate", *agents, "--out", str(folder))
    rows = json.loads((folder / "evaluation.json").read_text())["rows"]
    mine = [row for row in rows if row["player"] == "sampled" and row["levels"] == "test"]
    return [round(row["score"]["score"], 3) for row in mine]


def steps_to(target: float, budget: int, run: Path) -> int | None:
    """The agent steps after which the smoothed score is at least `target`."""
    rows = [row for row in read_record(run.name, run).rows if "score" in row]
    for row in rows:
        recent = [
            each["score"]
            for each in rows
            if row["steps"] - budget / 40 < each["steps"] <= row["steps"]
        ]
        if row["steps"] >= budget / 40 and np.mean(recent) >= target:
            return int(row["steps"])
    return None


def main() -> None:
    """Trains what is missing, and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=TEACHERS, default=list(TEACHERS))
    parser.add_argument("--mixer", default="attention", help="of the students")
    parser.add_argument("--total-steps", type=int, default=16_000_000)
    parser.add_argument("--teacher-steps", type=int, default=6_000_000)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    target = SHARE * scores(given.out / "of-teacher", ID)[0]
    for arm in given.arms:
        runs = [given.out / f"{given.mixer}-{arm}-{seed}" for seed in given.seeds]
        for seed, run in zip(given.seeds, runs, strict=True):
            words = f"{SETTINGS} --mixer {given.mixer} --seed {seed}".split()
            if teacher := TEACHERS[arm]:
                words += ["--teacher", teacher, "--teacher-steps", str(given.teacher_steps)]
            words += ["--total-steps", str(given.total_steps), "--run-dir", str(run)]
            words += ["--eval-levels", "0"]
            if not run.exists():
                program("train", *words)
        steps = [steps_to(target, given.total_steps, run) for run in runs]
        folder = "-".join(["of", given.mixer, arm, *map(str, given.seeds)])
        ends = scores(given.out / folder, *map(str, runs))
        print(f"{arm:8} steps to {target:.3f}: {steps}; score at the end: {ends}", flush=True)


if __name__ == "__main__":
    main()
