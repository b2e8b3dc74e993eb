"""A training run from its announcement to its evaluation."""

import time
from functools import partial
from typing import Any

import jax
from flax import nnx

from gridmem.baselines.agent import WEIGHTS
from gridmem.baselines.checkpoint import save
from gridmem.baselines.config import TrainConfig, to_dict
from gridmem.baselines.curve import draw_curve
from gridmem.baselines.evaluation import evaluate_model, evaluate_random
from gridmem.baselines.interruption import Interruption
from gridmem.baselines.learner import Learner, build_model, init, update
from gridmem.baselines.model import num_parameters
from gridmem.baselines.run_folder import RunFolder
from gridmem.baselines.training_log import TrainingLog
from gridmem.baselines.weights import to_bytes
from gridmem.envs.spec import config_to_dict

CHECKPOINT_SECONDS = 60.0


def run(name: str, config: TrainConfig, folder: RunFolder, comparison: str) -> int:
    """Trains, saves, evaluates and draws; returns the process's exit code.

    Args:
        name: the preset's.
        config: what to train.
        folder: where the results go.
        comparison: the command to advise at the end, for a run to compare this one with.
    """
    started = time.monotonic()
    folder.write_json("config.json", to_dict(config))
    _announce(name, config, folder)
    try:
        with TrainingLog(config.num_updates * config.steps_per_update, folder) as log:
            graphdef, learner = train(config, log, folder)
        if not log.ending:
            _conclude(config, folder, graphdef, learner.params, log.rows)
    finally:
        folder.flush()
        for problem in folder.problems:
            print(f"warning: {problem}", flush=True)
    if log.ending:
        print(log.ending)
        return 130 if log.interrupted else 1
    print(f"took {time.monotonic() - started:.0f} s; the results are in {folder.path}")
    print(f"next, compare: {comparison}")
    return 0


def train(config: TrainConfig, log: TrainingLog, folder: RunFolder) -> tuple[Any, Learner]:
    """Trains until the end, an interruption, or numbers that are none; the log says which.

    Metrics are read one update late, so that the device never waits for the log.

    Returns:
        the model's static part, and the learner.
    """
    env, steps, num_updates = config.make_env(), config.steps_per_update, config.num_updates
    graphdef, learner = init(config, env)
    waiting, last_save = None, time.monotonic()
    with Interruption() as interruption:
        for number in range(1, num_updates + 1):
            learner, metrics = update(config, env, graphdef, learner)
            stop = interruption.came
            if waiting is not None:
                log.add(*waiting)
            waiting = (number * steps, metrics)
            due = time.monotonic() - last_save > CHECKPOINT_SECONDS
            if stop or due or number in (1, num_updates):
                log.add(*waiting)
                waiting, last_save = None, time.monotonic()
                if not log.ending:
                    weights = to_bytes(config, learner.params, number * steps)
                    folder.write_bytes(WEIGHTS, weights)
                    log.checkpoint = folder.keep("checkpoint", partial(save, learner=learner))
            if stop and not log.ending:
                log.interrupt(number * steps)
            if log.ending:
                break
    return graphdef, learner


def _announce(name: str, config: TrainConfig, folder: RunFolder) -> None:
    env, model, device = config.make_env(), config.model, jax.devices()[0]
    shape = nnx.eval_shape(lambda: build_model(config, env, jax.random.key(0)))
    map_ = env.config.map
    print(
        f"preset       {name}, seed {config.seed}\n"
        f"environment  {config.env.env_id}: cave of {map_.height} x {map_.width} cells, view "
        f"{env.view_size} x {env.view_size}, {env.max_steps} steps, agents: {env.num_agents}\n"
        f"model        mixer {model.mixer}, {model.num_layers} layers of width {model.width}, "
        f"{num_parameters(nnx.state(shape)):,} parameters, {model.dtype}\n"
        f"training     {config.num_updates * config.steps_per_update:,} agent steps: "
        f"{config.num_updates} updates of {config.ppo.num_envs * env.num_agents} episodes\n"
        f"device       {jax.device_count()} x {device.device_kind} ({device.platform})\n"
        f"kept in      {folder.path}",
        flush=True,
    )


def _conclude(
    config: TrainConfig,
    folder: RunFolder,
    graphdef: Any,
    params: Any,
    rows: list[dict[str, float]],
) -> None:
    """Evaluates, draws and reports."""
    env, num_levels = config.make_env(), config.eval_levels
    print(f"evaluating on {num_levels} held-out levels", flush=True)
    results = {
        "agent": evaluate_model(env, graphdef, params, num_levels),
        "agent, greedy": evaluate_model(env, graphdef, params, num_levels, greedy=True),
        "random": evaluate_random(env, num_levels),
    }
    evaluation = {"env": config_to_dict(env.config), "num_levels": num_levels, "results": results}
    folder.write_json("eval.json", evaluation)
    title = f"{config.env.env_id}, mixer {config.model.mixer}, seed {config.seed}"
    folder.write_bytes("curve.png", draw_curve(title, rows, results))
    print(f"{'':16}{'mean return':>12}{'first find':>12}{'memory gain':>13}")
    for who, result in results.items():
        print(
            f"{who:16}{result['mean_return']:12.2f}{result['first_find_steps']:12.1f}"
            f"{result['memory_gain']:13.2f}"
        )
