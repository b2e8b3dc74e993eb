"""The stage that trains several runs, some of them at once."""

import os
import shlex
import subprocess
import sys
import tarfile
import time
from collections import deque
from pathlib import Path
from tempfile import TemporaryDirectory

from campaign_stage import MODULE, ROOT, Refused, Stage, last_lines, read_jobs
from campaign_training import split

SAVING_SECONDS = 20.0  # for the last update and the files of a run that is stopped


def runs(stage: Stage) -> int:
    """Trains the runs of a file, each in a process; packs those that ended whenever one does.

    A line of the file is the name of a run and the flags of `gridmem.baselines.train`. Runs for
    which there is no time left are stopped; they come with their checkpoint, to be resumed.
    """
    if stage.options.parallel < 1:
        raise Refused(f"--parallel is {stage.options.parallel}; it must be 1 or more")
    waiting, going = deque(read_jobs(stage.options.jobs)), {}
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # they share the memory of the card
    failed = []
    with TemporaryDirectory() as folder:
        while waiting or going:
            while waiting and len(going) < stage.options.parallel and stage.left > SAVING_SECONDS:
                name, flags = waiting.popleft()
                going[name] = _start(Path(folder), name, flags)
            time.sleep(0.5)
            if stage.left <= SAVING_SECONDS:
                failed += [name for name, _ in waiting]
                waiting.clear()
                _stop(list(going.values()), 0.8 * SAVING_SECONDS)
            ended = {name: process for name, process in going.items() if process.poll() is not None}
            for name, process in ended.items():
                del going[name]
                code, last = process.returncode, last_lines(Path(folder) / f"{name}.txt")
                print(f"{name}: exit code {code}; {stage.left:.0f} s are left\n{last}", flush=True)
                failed += [name] if code else []
            if ended:
                _pack(Path(folder), stage.out, [*going], failed)
    if failed:
        print(f"not trained to the end: {', '.join(failed)}", flush=True)
    return 1 if failed else 0


def _start(folder: Path, name: str, flags: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"{MODULE}.train", *flags, "--run-dir", str(folder / name)]
    print("$", shlex.join(command), flush=True)
    with open(folder / f"{name}.txt", "wb") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)


def _stop(processes: list[subprocess.Popen[bytes]], seconds: float) -> None:
    for process in processes:
        process.terminate()
    end = time.monotonic() + seconds
    for process in processes:
        try:
            process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _pack(folder: Path, out: Path, going: list[str], failed: list[str]) -> None:
    """What is in the folder, without the runs that are going on; checkpoints of the failed ones."""

    def kept(file: tarfile.TarInfo) -> tarfile.TarInfo | None:
        _, run, *parts = [*Path(file.name).parts, ""]
        run = Path(run).stem  # of the folder, or of the file of what it printed
        left_out = {"tensorboard"} if run in failed else {"tensorboard", "checkpoint"}
        return None if run in going or {*parts} & left_out else file

    with TemporaryDirectory() as other:
        whole = Path(other) / "runs.tar"
        with tarfile.open(whole, "w:gz", compresslevel=1) as archive:
            archive.add(folder, "runs", filter=kept)
        split(whole, out)
