"""A training run from its announcement to its evaluation."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax

from gridmem.baselines import checkpoint
from gridmem.baselines.agent import WEIGHTS
from gridmem.baselines.config import TrainConfig, to_dict
from gridmem.baselines.curve import draw_curve
from gridmem.baselines.evaluation import evaluate_model, evaluate_random
from gridmem.baselines.interruption import Interruption
from gridmem.baselines.learner import init, update
from gridmem.baselines.model import num_parameters
from gridmem.baselines.run_folder import RunFolder
from gridmem.baselines.trackers import Tracker, make_trackers
from gridmem.baselines.training_log import TrainingLog
from gridmem.baselines.weights import to_bytes
from gridmem.envs.spec import config_to_dict

CHECKPOINT = "checkpoint"


class Run:
    """A run in its folder, new or resumed.

    Attributes:
        config: what is trained.
        folder: where the results go.
    """

    def __init__(self, name: str, config: TrainConfig, folder: RunFolder, resume: str) -> None:
        """Nothing is done yet; see `begun` and `resumed`."""
        self.config, self.folder = replace(config, run_dir=None), folder
        self._name, self._resume = name, f"{resume} {folder.path}"
        self._advice = ""
        self._rows: list[dict[str, float]] = []
        self._env = config.make_env()
        self._graphdef, self._learner = init(self.config, self._env)

    @classmethod
    def begun(cls, name: str, config: TrainConfig, resume: str, comparison: str) -> "Run":
        """A new run.

        Args:
            name: the preset's.
            config: what to train; `run_dir` is where.
            resume: the command that resumes a run, but for its folder.
            comparison: the command to advise at the end, for a run to compare this one with.

        Raises:
            ValueError: if the folder exists or cannot be made.
        """
        run = cls(name, config, RunFolder.create(config.run_dir, name), resume)
        run._advice = f"next, compare: {comparison}"
        return run

    @classmethod
    def resumed(cls, name: str, config: TrainConfig, resume: str) -> "Run":
        """A run that goes on from its last checkpoint, as if it had never stopped.

        Args:
            name: of the run.
            config: that of the run, with `total_steps` raised if it is extended, and its folder.
            resume: as above.

        Raises:
            ValueError: if there is nothing to go on from, or nothing left to do.
        """
        path = Path(config.run_dir or "")
        if not checkpoint.exists(path / CHECKPOINT):
            raise ValueError(f"the run in {path} has saved no checkpoint yet; begin it anew")
        folder = RunFolder.open(path)
        folder.lock()
        run = cls(name, config, folder, resume)
        try:
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
        done = int(self._learner.num_updates)
        steps = done * self.config.steps_per_update
        if done >= self.config.num_updates:
            raise ValueError(
                f"the run in {path} is complete after {steps:,} steps; add some with --extend"
            )
        self._rows = self.folder.rewind_metrics(steps)

    def run(self) -> int:
        """Trains, saves, evaluates and draws; returns the process's exit code."""
        started = time.monotonic()
        self.folder.lock()
        self.folder.write_json("config.json", to_dict(self.config))
        self._announce()
        try:
            total_steps = self.config.num_updates * self.config.steps_per_update
            with TrainingLog(total_steps, self.folder, self._rows, self._trackers()) as log:
                try:
                    self._train(log)
                except jax.errors.JaxRuntimeError as error:
                    if "RESOURCE_EXHAUSTED" not in str(error):
                        raise
                    log.run_out_of_memory(self._resume)
            if not log.ending:
                self._conclude(log.rows)
        finally:
            self.folder.unlock()
            self.folder.flush()
            for problem in self.folder.problems:
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
        before = self._rows[-1].get("seconds", 0.0) if self._rows else 0.0
        started, waiting, last_save = time.monotonic(), None, time.monotonic()
        first = int(self._learner.num_updates) + 1
        with Interruption() as interruption:
            for number in range(first, num_updates + 1):
                self._learner, metrics = update(config, self._env, self._graphdef, self._learner)
                stop = interruption.came
                steps = number * config.steps_per_update
                if waiting is not None:
                    log.add(waiting[0], before + time.monotonic() - started, waiting[1])
                waiting = (steps, metrics)
                due = time.monotonic() - last_save >= config.checkpoint_seconds
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

    def _save(self, steps: int) -> Path | None:
        """Keeps the learner and, as a file of its own, its weights; where the learner is."""
        weights = to_bytes(self.config, self._learner.params, steps)
        self.folder.write_bytes(WEIGHTS, weights)
        return self.folder.keep(CHECKPOINT, partial(checkpoint.save, learner=self._learner))

    def _trackers(self) -> list[Tracker]:
        trackers: list[Tracker] = []

        def make() -> None:
            trackers.extend(make_trackers(self.config, self.folder.path))

        self.folder.attempt("the trackers' files", make)
        return trackers

    def _announce(self) -> None:
        config, env, device = self.config, self._env, jax.devices()[0]
        model, map_ = config.model, env.config.map
        done = int(self._learner.num_updates) * config.steps_per_update
        parameters = num_parameters(self._learner.params)
        print(
            f"preset       {self._name}, seed {config.seed}\n"
            f"environment  {config.env.env_id}: cave of {map_.height} x {map_.width} cells, view "
            f"{env.view_size} x {env.view_size}, {env.max_steps} steps, agents: {env.num_agents}\n"
            f"model        mixer {model.mixer}, {model.num_layers} layers of width {model.width}, "
            f"{parameters:,} parameters, {model.dtype}\n"
            f"training     {config.num_updates * config.steps_per_update:,} agent steps: "
            f"{config.num_updates} updates of {config.steps_per_update:,}"
            f"{f', {done:,} steps done already' if done else ''}\n"
            f"device       {jax.device_count()} x {device.device_kind} ({device.platform})\n"
            f"kept in      {self.folder.path}",
            flush=True,
        )

    def _conclude(self, rows: list[dict[str, float]]) -> None:
        """Evaluates, draws and reports."""
        env, num_levels = self._env, self.config.eval_levels
        graphdef, params = self._graphdef, self._learner.params
        print(f"evaluating on {num_levels} held-out levels", flush=True)
        results = {
            "agent": evaluate_model(env, graphdef, params, num_levels),
            "agent, greedy": evaluate_model(env, graphdef, params, num_levels, greedy=True),
            "random": evaluate_random(env, num_levels),
        }
        evaluation = {
            "env": config_to_dict(env.config),
            "num_levels": num_levels,
            "results": results,
        }
        self.folder.write_json("eval.json", evaluation)
        title = (
            f"{self.config.env.env_id}, mixer {self.config.model.mixer}, seed {self.config.seed}"
        )
        self.folder.write_bytes("curve.png", draw_curve(title, rows, results))
        print(f"{'':16}{'mean return':>12}{'first find':>12}{'memory gain':>13}")
        for who, result in results.items():
            print(
                f"{who:16}{result['mean_return']:12.2f}{result['first_find_steps']:12.1f}"
                f"{result['memory_gain']:13.2f}"
            )
