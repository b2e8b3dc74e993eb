"""A training run from its announcement to its evaluation."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

import jax

from gridmem.baselines.config import TrainConfig, to_dict
from gridmem.baselines.model.actor_critic import num_parameters
from gridmem.baselines.ppo.learner import UpdateMetrics
from gridmem.baselines.ppo.seeds import advance, begin, member, members
from gridmem.baselines.ppo.sharding import (
    agreed,
    any_process,
    fetched,
    is_first,
    mesh,
    usable_devices,
)
from gridmem.baselines.runs import checkpoint
from gridmem.baselines.runs.run_dir import WEIGHTS, RunFolder, UnwrittenFolder, seed_folders
from gridmem.baselines.runs.weights import to_bytes
from gridmem.baselines.training.attention_choice import XLA, AttentionChoice
from gridmem.baselines.training.display import dispensable_output
from gridmem.baselines.training.final_evaluation import Seed, conclude
from gridmem.baselines.training.logger import TrainingLog
from gridmem.baselines.training.seed_logger import SeedLog
from gridmem.baselines.training.signals import Interruption
from gridmem.baselines.training.trackers import Tracker, trackers

CHECKPOINT, EVALUATION = "checkpoint", "eval.json"


class NotDeterministicError(Exception):
    """XLA has no program for the device without operations whose results vary."""


class Run:
    """A run in its folder, new or resumed.

    Attributes:
        config: what is trained.
        folder: where the results go; those of one of several seeds in a folder in it.
    """

    def __init__(
        self,
        name: str,
        config: TrainConfig,
        folder: RunFolder,
        resume: str,
        attention: AttentionChoice,
    ) -> None:
        """Nothing is done yet; see `begun` and `resumed`."""
        self.config, self.folder = replace(config, run_dir=None), folder
        self._attention, self._program = attention, attention.apply(self.config)
        self._name, self._resume = name, f"{resume} {quote(str(folder.path))}"
        self._advice = ""
        self._env = config.make_env()
        self._num_devices = usable_devices(config)
        with mesh(self._num_devices):
            self._graphdef, self._learner = begin(self._program, self._env)
        one = self.config.num_seeds == 1
        self._seeds = [
            Seed(config, folder if one else folder.part(f"seed-{config.seed}"))
            for config in members(self.config)
        ]

    @classmethod
    def begun(
        cls,
        name: str,
        config: TrainConfig,
        resume: str,
        comparison: str,
        attention: AttentionChoice = XLA,
    ) -> "Run":
        """A new run.

        Args:
            name: the preset's.
            config: what to train; `run_dir` is where.
            resume: the command that resumes a run, but for its folder.
            comparison: the command to advise at the end, for a run to compare this one with.
            attention: the kernel that it trains with.

        Raises:
            ValueError: if the folder exists or cannot be made, or several processes are not told
                of one.
        """
        if config.run_dir is None and jax.process_count() > 1:
            raise ValueError(
                "several processes need a folder that all of them know; name it with --run-dir"
            )
        usable_devices(config)  # refuses some runs, for which there should be no folder
        folder = agreed(lambda: _created(config.run_dir, name))
        run = cls(name, config, folder, resume, attention)
        run._advice = f"next, compare: {comparison}"
        return run

    @classmethod
    def resumed(
        cls, name: str, config: TrainConfig, resume: str, attention: AttentionChoice = XLA
    ) -> "Run":
        """A run that goes on from its last checkpoint, as if it had never stopped.

        Args:
            name: of the run.
            config: that of the run, with `total_steps` raised if it is extended, and its folder.
            resume: as above.
            attention: as above.

        Raises:
            ValueError: if there is nothing to go on from, or nothing left to do.
        """
        path = Path(config.run_dir or "")
        folder = agreed(lambda: _opened(path))
        try:
            run = cls(name, config, folder, resume, attention)
            run._take_up(path)
        except ValueError:
            folder.unlock()
            raise
        return run

    def _take_up(self, path: Path) -> None:
        """Begins where the last checkpoint is; ValueError if that cannot be."""
        try:
            self._learner = checkpoint.load(path / CHECKPOINT, self._learner)
        except Exception as error:  # Orbax has no class of its own for what it cannot read
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise ValueError(
                f"the checkpoint in {path} is damaged or of another version ({reason})"
            ) from None
        steps = self._num_steps
        last = path / (EVALUATION if self.config.eval_levels else "curve.png")
        if self._num_updates >= self.config.num_updates and last.exists():
            raise ValueError(
                f"the run in {path} is complete after {steps:,} steps; add some with --extend"
            )
        for seed in self._seeds:
            seed.rows = seed.folder.rewind_metrics(steps)

    def run(self) -> int:
        """Trains, saves, evaluates and draws, whether anyone listens; the process's exit code."""
        with dispensable_output():
            return self._run()

    def _run(self) -> int:
        started = time.monotonic()
        self.folder.lock()
        configs = {seed.folder: seed.config for seed in self._seeds} | {self.folder: self.config}
        for folder, config in configs.items():
            folder.write_json("config.json", to_dict(config))
            folder.remove(EVALUATION)  # of the agent before the run was extended
        self._announce()
        try:
            log = self._log()
            with log, mesh(self._num_devices):
                try:
                    self._train(log)
                except NotDeterministicError as error:
                    log.ending = f"stopped: {error}"
                except jax.errors.JaxRuntimeError as error:
                    if "RESOURCE_EXHAUSTED" not in str(error):
                        raise
                    log.run_out_of_memory(self._resume)
            if not log.ending:
                try:
                    with Interruption(at_once=True):
                        self._conclude()
                except KeyboardInterrupt:
                    log.interrupt(self._num_steps, self._resume)
        finally:
            self.folder.unlock()
            for folder in configs:
                folder.flush()
                for problem in folder.problems:
                    print(f"warning: {problem}", flush=True)
        if log.ending:
            print(log.ending)
            return 130 if log.interrupted else 1
        print(f"took {time.monotonic() - started:.0f} s; the results are in {self.folder.path}")
        if self._advice:
            print(self._advice)
        return 0

    def _train(self, log: TrainingLog) -> None:
        """Trains until the end, an interruption, or numbers that are none; the log says which.

        Metrics are read one update late, so that the device never waits for the log.
        """
        config, num_updates = self.config, self.config.num_updates
        rows = self._seeds[0].rows
        before = rows[-1].get("seconds", 0.0) if rows else 0.0
        started, waiting, last_save = time.monotonic(), None, time.monotonic()
        first = self._num_updates + 1
        with Interruption() as interruption:
            for number in range(first, num_updates + 1):
                metrics = self._advance(number == first)
                elapsed = time.monotonic() - last_save
                stop, due = any_process(interruption.came, elapsed >= config.checkpoint_seconds)
                steps = number * config.steps_per_update
                if waiting is not None:
                    log.add(waiting[0], before + time.monotonic() - started, waiting[1])
                waiting = (steps, metrics)
                if stop or due or number in (first, num_updates):
                    jax.block_until_ready(metrics)
                    log.add(steps, before + time.monotonic() - started, metrics)
                    waiting = None
                    if not log.ending:
                        log.checkpoint = self._save(steps)
                    last_save = time.monotonic()
                if stop and not log.ending:
                    log.interrupt(steps, self._resume)
                if log.ending:
                    break

    def _advance(self, first: bool) -> UpdateMetrics:
        """One update; `first` if it is yet to be compiled.

        Raises:
            NotDeterministicError: if XLA cannot make it so.
        """
        args = self._program, self._env, self._graphdef, self._learner
        try:
            self._learner, metrics = advance(*args)
        except (jax.errors.JaxRuntimeError, IndexError) as error:  # XLA raises both
            known = "RESOURCE_EXHAUSTED" in str(error) or not self.config.deterministic
            if known or not first or jax.default_backend() == "cpu":
                raise
            reason = (str(error).splitlines() or ["it does not say why"])[0][:200]
            raise NotDeterministicError(
                f"XLA {jax.__version__} cannot make the update deterministic on this "
                f"{jax.devices()[0].device_kind} ({reason}); leave out --deterministic"
            ) from error
        return metrics

    def _save(self, steps: int) -> Path | None:
        """Keeps the learner and, as files of their own, the weights; where the learner is."""
        for seed, params in zip(self._seeds, self._params(), strict=True):
            seed.folder.write_bytes(WEIGHTS, to_bytes(seed.config, params, steps))
        save = partial(checkpoint.save, learner=self._learner)
        if jax.process_count() == 1:
            return self.folder.keep(CHECKPOINT, save)
        path = self.folder.path / CHECKPOINT  # processes have no other place in common
        return path if self.folder.attempt(CHECKPOINT, lambda: save(path)) else None

    def _log(self) -> TrainingLog:
        total_steps = self.config.num_updates * self.config.steps_per_update
        seeds = [
            SeedLog(seed.config.seed, seed.folder, seed.rows, self._trackers(seed))
            for seed in self._seeds
        ]
        for seed, log in zip(self._seeds, seeds, strict=True):
            seed.rows = log.rows
        kept_in = self.folder.path / CHECKPOINT
        return TrainingLog(total_steps, seeds, kept_in, resumed=self._num_updates > 0)

    def _trackers(self, seed: Seed) -> list[Tracker]:
        made: list[Tracker] = []
        if not is_first():
            return made
        name, path = self.folder.path.name, seed.folder.path
        if seed.folder is not self.folder:
            name += f"-{path.name}"
        makers = trackers(seed.config, path, name, self._num_steps)
        for what, make in makers.items():
            seed.folder.attempt(what, lambda make=make: made.append(make()))
        return made

    @property
    def _num_steps(self) -> int:
        """Agent steps of each seed so far."""
        return self._num_updates * self.config.steps_per_update

    @property
    def _num_updates(self) -> int:
        """Done so far, by every seed alike."""
        return int(member(self._learner.num_updates, self.config, 0))

    def _params(self) -> list[Any]:
        """The parameters of each seed."""
        params = fetched(self._learner.params)
        return [member(params, self.config, number) for number in range(len(self._seeds))]

    def _announce(self) -> None:
        config, env, device = self.config, self._env, jax.devices()[0]
        model, map_ = config.model, env.config.map
        done = self._num_steps
        parameters = num_parameters(self._learner.params) // config.num_seeds
        seeds = f"seed {config.seed}"
        if config.num_seeds > 1:
            seeds = f"seeds {config.seed} to {config.seed + config.num_seeds - 1}, each by itself"
        attention = f"attention    {self._attention}\n" if model.mixer == "attention" else ""
        print(
            f"preset       {self._name}, {seeds}\n"
            f"environment  {config.env.env_id}: cave of {map_.height} x {map_.width} cells, view "
            f"{env.view_size} x {env.view_size}, {env.max_steps} steps, agents: {env.num_agents}\n"
            f"model        mixer {model.mixer}, {model.num_layers} layers of width {model.width}, "
            f"{parameters:,} parameters, {model.dtype}\n"
            f"{attention}"
            f"training     {config.num_updates * config.steps_per_update:,} agent steps: "
            f"{config.num_updates:,} update{'s' if config.num_updates > 1 else ''} of "
            f"{config.steps_per_update:,}"
            f"{f', {done:,} steps done already' if done else ''}{self._asked_for()}\n"
            f"device       {self._num_devices} x {device.device_kind} ({device.platform})"
            f"{self._of_which()}\n"
            f"kept in      {self.folder.path}",
            flush=True,
        )

    def _asked_for(self) -> str:
        """Says so where fewer steps were asked for than one update has."""
        asked = self.config.total_steps
        if asked >= self.config.steps_per_update:
            return ""
        return f" ({asked:,} were asked for, but a run consists of whole updates)"

    def _of_which(self) -> str:
        there, processes = jax.device_count(), jax.process_count()
        if processes > 1:
            return f" of {processes} processes"
        if self._num_devices == there:
            return ""
        return f" of {there}: as many as divide the environments and the streams of a minibatch"

    def _conclude(self) -> None:
        """Evaluates, draws and reports."""
        if self.config.eval_levels:
            print(f"evaluating on {self.config.eval_levels} held-out levels", flush=True)
        lines = conclude(self._env, self._graphdef, self._params(), self._seeds, self.folder)
        if lines:
            print("\n".join(lines))


def _created(path: str | None, name: str) -> RunFolder:
    """A new folder, locked."""
    folder = _folder().create(path, name)
    folder.lock()
    return folder


def _opened(path: Path) -> RunFolder:
    """The folder of a run that can be resumed, locked."""
    if not checkpoint.exists(path / CHECKPOINT):
        run = path.resolve().parent
        if path.resolve() in seed_folders(run) and checkpoint.exists(run / CHECKPOINT):
            raise ValueError(
                f"{path} has one seed of a run; resume all of them: --resume {quote(str(run))}"
            )
        raise ValueError(f"the run in {path} has saved no checkpoint yet; begin it anew")
    folder = _folder().open(path)
    folder.lock()
    return folder


def _folder() -> type[RunFolder]:
    return RunFolder if is_first() else UnwrittenFolder
