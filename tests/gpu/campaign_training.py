"""The stage that trains, over several leases of a machine."""

import json
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from campaign_stage import MODULE, Refused, Stage, config_of, run_bench

PART_BYTES = 15 * 2**20
ENDING_SECONDS = 25.0  # for the last update, the checkpoint and its parts
STARTING_SECONDS = 25.0  # for all that comes before compiling


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
    model, begin = config_of(stage).model, stage.left
    measured = stage.out / "bench.json" if before is None else before / "bench.json"
    if before is None and run_bench(stage, "bench.json", "--parts", "whole", "--repeats", "2"):
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

    settings = to_dict(config_of(stage))
    settings["total_steps"] = max(1, int(0.97 * speed * seconds))
    settings["eval_levels"] = 0  # is done elsewhere
    file = stage.out / "settings.json"
    file.write_text(json.dumps(settings, indent=2) + "\n")
    print(f"{settings['total_steps']:,} agent steps at {speed:,.0f} a second", flush=True)
    return file


def pack(run: Path, out: Path) -> None:
    """The run's folder as parts of one archive, `run.tar.0` and so on."""
    whole = out / "run.tar"
    with tarfile.open(whole, "w") as archive:
        archive.add(run, "run", filter=lambda file: None if "tensorboard" in file.name else file)
    split(whole, out)
    whole.unlink()


def split(whole: Path, out: Path) -> None:
    """A file in parts, `NAME.0` and so on, in place of those that were there."""
    for old in out.glob(f"{whole.name}.*"):
        old.unlink()
    with open(whole, "rb") as file:
        for number, part in enumerate(iter(lambda: file.read(PART_BYTES), b"")):
            (out / f"{whole.name}.{number}").write_bytes(part)


def unpack(source: Path, folder: Path) -> None:
    """What `pack` left, as the folder `run` in another one."""
    whole = folder / "run.tar"
    with open(whole, "wb") as file:
        for number in range(len(list(source.glob("run.tar.*")))):
            file.write((source / f"run.tar.{number}").read_bytes())
    with tarfile.open(whole) as archive:
        archive.extractall(folder, filter="data")
    whole.unlink()
