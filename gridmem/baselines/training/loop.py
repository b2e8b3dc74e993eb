"""A training run from its announcement to its evaluation."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

import jax

from gridmem.baselines.agent import weights_file
from gridmem.baselines.config import TrainConfig, to_dict
from gridmem.baselines.method import Method, Stage
from gridmem.baselines.model.actor_critic import num_parameters
from gridmem.baselines.ppo.sharding import (
    all_or_raise,
    any_process,
    gather_to_host,
    is_main_process,
    mesh,
    usable_devices,
)
from gridmem.baselines.ppo.teacher import pinned
from gridmem.baselines.runs import checkpoint
from gridmem.baselines.runs.run_dir import (
    ACHIEVEMENTS,
    CHECKPOINT,
    CURVE,
    EVALUATION,
    WEIGHTS,
    RunDir,
    achievements_file,
    seed_dirs,
)
from gridmem.baselines.runs.transfer import Transfer, plan_transfer
from gridmem.baselines.runs.weights import to_bytes
from gridmem.baselines.training.announcement import announcement
from gridmem.baselines.training.display import echo
from gridmem.baselines.training.final_evaluation import Seed, evaluate_run
from gridmem.baselines.training.kernel_choice import XLA, KernelChoice
from gridmem.baselines.training.logger import SeedLogger, TrainingLogger
from gridmem.baselines.training.seeds import (
    begin_stage,
    init_seeds,
    seed_slice,
    update_seeds,
)
from gridmem.baselines.training.signals import StopSignal
from gridmem.baselines.training.trackers import Tracker, open_trackers
from gridmem.cli_utils import drop_unwritten

_MOST_OF_SAVES = 20
"""Training lasts so many times as long as the checkpoint before it took."""
STALE = (EVALUATION, "evaluation.png", "eval.json", CURVE, ACHIEVEMENTS)
"""Results of an agent that a resumed run replaces; older versions wrote eval.json."""


class NotDeterministicError(Exception):
    """XLA has no deterministic program of the update for the device."""


class Run:
    """A run in its directory, new or resumed.

    Attributes:
        config: of the run.
        run_dir: for the results; each of several seeds has a subdirectory.
    """

    def __init__(
        self,
        name: str,
        config: TrainConfig,
        run_dir: RunDir,
        method: Method,
        resume: str,
        attention: KernelChoice,
    ) -> None:
        """See `new` and `resumed`."""
        self.config, self.run_dir = replace(config, run_dir=None), run_dir
        self._attention, self._method = attention, method
        self._name, self._resume = name, f"{resume} {quote(str(run_dir.path))}"
        self._advice, self._transfer = "", ""
        self._num_devices = usable_devices(config)
        with mesh(self._num_devices):
            self._state = init_seeds(self._method)
        one = self.config.num_seeds == 1
        self._seeds = [
            Seed(config, run_dir if one else run_dir.subdir(f"seed-{config.seed}"))
            for config in self.config.seed_configs
        ]

    @classmethod
    def new(
        cls,
        name: str,
        config: TrainConfig,
        resume: str,
        comparison: str,
        attention: KernelChoice = XLA,
    ) -> "Run":
        """A new run.

        Args:
            name: of the preset.
            config: of the run; `run_dir` is its directory.
            resume: the command that resumes a run, without the directory.
            comparison: the command of a run to compare this one with, printed at the end; empty
                for none.
            attention: the kernels.

        Raises:
            ValueError: if the directory exists or cannot be made, or several processes have none
                in common.
        """
        if config.run_dir is None and jax.process_count() > 1:
            raise ValueError(
                "several processes need a folder that all of them know; name it with --run-dir"
            )
        # These raise for some configs, before the directory is made.
        config = pinned(config)
        _check_method(config)
        usable_devices(config)
        method = _make_method(config, attention)
        method.inputs(0)
        transfer = _plan_transfer(config, method)
        run_dir = all_or_raise(lambda: _create(config.run_dir, name))
        run = cls(name, config, run_dir, method, resume, attention)
        if transfer is not None:
            params = transfer.applied(method.params(run._state))
            run._state, run._transfer = run._state._replace(params=params), transfer.about
        run._advice = f"next, compare: {comparison}" if comparison else ""
        return run

    @classmethod
    def resumed(
        cls, name: str, config: TrainConfig, resume: str, attention: KernelChoice = XLA
    ) -> "Run":
        """A run that continues from its last checkpoint, as if it had never stopped.

        Args:
            name: of the run.
            config: of the run and its directory; a larger `total_steps` extends the run.
            resume: as above.
            attention: as above.

        Raises:
            ValueError: if there is no checkpoint, or the run is complete.
        """
        path = Path(config.run_dir or "")
        method = _make_method(config, attention)
        run_dir = all_or_raise(lambda: _open(path))
        try:
            run = cls(name, config, run_dir, method, resume, attention)
            run._load(path)
        except ValueError:
            run_dir.unlock()
            raise
        return run

    def _load(self, path: Path) -> None:
        """Continues from the last checkpoint; ValueError if it cannot."""
        try:
            self._state = checkpoint.load(path / CHECKPOINT, self._state)
        except Exception as error:  # Orbax has no exception class for unreadable checkpoints
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise ValueError(
                f"the checkpoint in {path} is damaged or of another version ({reason})"
            ) from None
        steps = self._num_steps
        # The curve is written last.
        if self._num_updates >= self.config.num_updates and (path / CURVE).exists():
            raise ValueError(
                f"the run in {path} is complete after {steps:,} steps; add some with --extend"
            )
        for seed in self._seeds:
            seed.rows = seed.run_dir.rewind_metrics(steps)

    def run(self) -> int:
        """Trains, saves, evaluates and draws; returns the exit code of the process."""
        try:
            return self._run()
        finally:
            drop_unwritten()

    def _run(self) -> int:
        started = time.monotonic()
        self.run_dir.lock()
        self._prepare_dirs()
        self._announce()
        try:
            logger = self._logger()
            with logger, mesh(self._num_devices):
                try:
                    self._train(logger)
                except NotDeterministicError as error:
                    logger.ending = f"stopped: {error}"
                except jax.errors.JaxRuntimeError as error:
                    if "RESOURCE_EXHAUSTED" not in str(error):
                        raise
                    logger.run_out_of_memory()
            if not logger.ending:
                try:
                    with StopSignal(at_once=True):
                        self._evaluate()
                except KeyboardInterrupt:
                    logger.interrupt(self._num_steps)
        finally:
            self._close_dirs()
        if logger.ending:
            echo(logger.ending)
            return 130 if logger.interrupted else 1
        echo(f"took {time.monotonic() - started:.0f} s; the results are in {self.run_dir.path}")
        if self._advice:
            echo(self._advice)
        return 0

    def _train(self, logger: TrainingLogger) -> None:
        """Trains until the end, a signal, or non-finite metrics; the logger records which.

        Metrics are read one update late, so that the device never waits for the logger.
        """
        config, num_updates = self.config, self.config.num_updates
        steps_per_update, stages = config.steps_per_update, config.method.stages_of(config)
        rows = self._seeds[0].rows
        before = rows[-1].get("seconds", 0.0) if rows else 0.0
        started, waiting, last_save = time.monotonic(), None, time.monotonic()
        due_after = config.checkpoint_seconds
        first = self._num_updates + 1
        with StopSignal() as signal:
            for number in range(first, num_updates + 1):
                stage, begins = _stage(stages, number)
                if stage and begins:
                    self._state = begin_stage(self._method, self._state, stage)
                metrics = self._update(stage, number == first)
                elapsed = time.monotonic() - last_save
                stop, due = any_process(signal.received, elapsed >= due_after)
                steps = number * steps_per_update
                if waiting is not None:
                    logger.add(waiting[0], before + time.monotonic() - started, waiting[1])
                waiting = (steps, metrics)
                if stop or due or number in (first, num_updates):
                    jax.block_until_ready(metrics)
                    logger.add(steps, before + time.monotonic() - started, metrics)
                    waiting = None
                    last_save = time.monotonic()
                    if not logger.ending:
                        logger.checkpoint = self._save(steps)
                        took = time.monotonic() - last_save
                        due_after = max(config.checkpoint_seconds, _MOST_OF_SAVES * took)
                        last_save += took
                    if not config.checkpoint_seconds:
                        due_after = 0.0
                if stop and not logger.ending:
                    logger.interrupt(steps)
                if logger.ending:
                    break

    def _update(self, stage: int, first: bool) -> Any:
        """One update; the first one of a process compiles. Returns its metrics.

        Raises:
            NotDeterministicError: if XLA cannot make it deterministic.
        """
        try:
            self._state, metrics = update_seeds(self._method, self._state, stage)
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
        """Saves the agent and the state; returns the path of the state's checkpoint, if any."""
        for seed, params in zip(self._seeds, self._params(), strict=True):
            seed.run_dir.write_bytes(WEIGHTS, to_bytes(seed.config, params, steps))
        save = partial(checkpoint.save, state=self._state)
        if jax.process_count() == 1:
            return self.run_dir.keep(CHECKPOINT, save)
        path = self.run_dir.path / CHECKPOINT  # processes have no other directory in common
        return path if self.run_dir.attempt(CHECKPOINT, lambda: save(path)) else None

    def _evaluate(self) -> None:
        """Evaluates, draws and prints a table."""
        if self.config.eval_levels:
            echo(f"evaluating on {self.config.eval_levels} held-out levels")
        params = self._params()
        lines = evaluate_run(self._method, params, self._seeds, self.run_dir)
        if lines:
            echo("\n".join(lines))

    def _announce(self) -> None:
        text = announcement(
            self._name,
            self.config,
            num_parameters(self._params()[0]),
            self._num_steps,
            str(self._attention),
            self._num_devices,
            str(self.run_dir.path),
        )
        echo(text)
        about = {"initial": self._transfer, **self._method.about}
        for topic, sentence in about.items():
            if sentence:
                echo(f"{topic:11}  {sentence}")

    def _dirs(self) -> dict[RunDir, TrainConfig]:
        """The run directory and those of its seeds -> what is trained there."""
        return {seed.run_dir: seed.config for seed in self._seeds} | {self.run_dir: self.config}

    def _prepare_dirs(self) -> None:
        for run_dir, config in self._dirs().items():
            run_dir.write_json("config.json", to_dict(config))
            of_mixture = map(achievements_file, self._method.members)
            for name in (*STALE, *of_mixture):
                run_dir.remove(name)

    def _close_dirs(self) -> None:
        self.run_dir.unlock()
        for run_dir in self._dirs():
            run_dir.flush()
            for problem in run_dir.problems:
                echo(f"warning: {problem}")

    def _logger(self) -> TrainingLogger:
        total_steps = self.config.num_updates * self.config.steps_per_update
        loggers = [
            SeedLogger(seed.config.seed, seed.run_dir, seed.rows, self._trackers(seed))
            for seed in self._seeds
        ]
        for seed, logger in zip(self._seeds, loggers, strict=True):
            seed.rows = logger.rows
        path = self.run_dir.path / CHECKPOINT
        return TrainingLogger(
            self._method, total_steps, loggers, path, self._resume, self._num_updates > 0
        )

    def _trackers(self, seed: Seed) -> list[Tracker]:
        if not is_main_process():
            return []
        name = self.run_dir.path.name
        if seed.run_dir is not self.run_dir:
            name += f"-{seed.run_dir.path.name}"
        return open_trackers(seed.config, seed.run_dir, name, self._num_steps)

    @property
    def _num_steps(self) -> int:
        """Agent steps of each seed so far."""
        return self._num_updates * self.config.steps_per_update

    @property
    def _num_updates(self) -> int:
        """Updates of each seed so far."""
        first = seed_slice(self._state, self.config, 0)
        return int(first.num_updates)

    def _params(self) -> list[Any]:
        """The parameters of each seed."""
        numbers, params = range(len(self._seeds)), self._method.params
        if isinstance(self._state, list):
            return [gather_to_host(params(state)) for state in self._state]
        of_all = gather_to_host(params(self._state))
        return [seed_slice(of_all, self.config, number) for number in numbers]


def _make_method(config: TrainConfig, attention: KernelChoice) -> Method:
    return attention.apply(replace(config, run_dir=None)).make_method()


def _plan_transfer(config: TrainConfig, method: Method) -> Transfer | None:
    """What the run begins with; None if all is new.

    Raises:
        ValueError: if it cannot be read, or does not fit.
    """
    if config.init_from is None:
        return None
    path, only_blocks = weights_file(config.init_from), config.init_parts == "blocks"
    try:
        params, ids = method.abstract_params(), list(method.members)
        return plan_transfer(path, params, config.model, ids, only_blocks)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror or error})") from None


def _stage(stages: list[Stage], number: int) -> tuple[int, bool]:
    """The stage of update `number`, from 1, and whether it is the first one of the stage."""
    last = 0
    for stage, (_, num_updates) in enumerate(stages):
        begin, last = last, last + num_updates
        if number <= last:
            return stage, number == begin + 1
    raise AssertionError(number)


def _check_method(config: TrainConfig) -> None:
    """Raises ValueError if a method's settings contradict each other."""
    stages, number = config.method.stages_of(config), config.num_updates
    if sum(stage.num_updates for stage in stages) != number:
        raise ValueError(
            f"the stages of {config.method.name} are {stages}; they must have the {number} updates "
            "of the run in all"
        )
    if not any(column.axis for column in config.columns):
        raise ValueError(f"{config.method.name} has no column with an axis, so there is no curve")


def _create(path: str | None, name: str) -> RunDir:
    """A new run directory, locked."""
    run_dir = RunDir.create(path, name, is_main_process())
    run_dir.lock()
    return run_dir


def _open(path: Path) -> RunDir:
    """The directory of a run that can be resumed, locked."""
    if not checkpoint.exists(path / CHECKPOINT):
        run = path.resolve().parent
        if path.resolve() in seed_dirs(run) and checkpoint.exists(run / CHECKPOINT):
            raise ValueError(
                f"{path} has one seed of a run; resume all of them: --resume {quote(str(run))}"
            )
        raise ValueError(f"the run in {path} has saved no checkpoint yet; start it again")
    run_dir = RunDir.open(path, is_main_process())
    run_dir.lock()
    return run_dir
