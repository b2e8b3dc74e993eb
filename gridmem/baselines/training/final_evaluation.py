"""What a training run comes to: results on held-out levels, and curves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.evaluation.report import NO_GAIN
from gridmem.baselines.evaluation.rollouts import evaluate_model, evaluate_random
from gridmem.baselines.runs.comparison import draw_comparison
from gridmem.baselines.runs.history import RunRecord, with_scores
from gridmem.baselines.runs.plots import draw_curve
from gridmem.baselines.runs.run_dir import RunFolder
from gridmem.baselines.tables import aligned
from gridmem.envs.analysis.metrics import MIN_FOUND_AGAIN
from gridmem.envs.config import config_to_dict
from gridmem.envs.env import Env

Results = dict[str, dict[str, float]]
"""Who -> how well it does on held-out levels: metric -> number."""


@dataclass
class Seed:
    """One of the agents of a run.

    Attributes:
        config: of its training by itself.
        folder: of its results.
        rows: of metrics, one per update so far.
    """

    config: TrainConfig
    folder: RunFolder
    rows: list[dict[str, float]] = field(default_factory=list)


def conclude(
    env: Env, graphdef: Any, params: Sequence[Any], seeds: Sequence[Seed], folder: RunFolder
) -> list[str]:
    """Evaluates and draws each seed, and all together if there are several.

    Args:
        env: the environment.
        graphdef: static part of the model.
        params: of each seed.
        seeds: what was trained.
        folder: of the run.

    Returns:
        the lines of a table for a person; none without an evaluation.
    """
    num_levels, of_seeds = seeds[0].config.eval_levels, []
    random = evaluate_random(env, num_levels) if num_levels else {}
    for seed, of_seed in zip(seeds, params, strict=True):
        results: Results = {}
        if num_levels:
            results = {
                "agent": evaluate_model(env, graphdef, of_seed, num_levels),
                "agent, greedy": evaluate_model(env, graphdef, of_seed, num_levels, greedy=True),
                "random": random,
            }
            about = {"env": config_to_dict(env.config), "num_levels": num_levels}
            seed.folder.write_json("eval.json", {**about, "results": results})
        of_seeds.append(results)
        config = seed.config
        title = f"{config.env.env_id}, mixer {config.model.mixer}, seed {config.seed}"
        seed.folder.write_bytes("curve.png", draw_curve(title, seed.rows, results))
    if len(seeds) == 1:
        return table(of_seeds[0]) if num_levels else []
    records = [
        RunRecord(f"seed-{seed.config.seed}", seed.config, with_scores(seed.config, seed.rows))
        for seed in seeds
    ]
    folder.write_bytes("curve.png", draw_comparison(records))
    if not num_levels:
        return []
    mean, error = over_seeds(of_seeds, np.mean), over_seeds(of_seeds, _standard_error)
    numbers = [seed.config.seed for seed in seeds]
    about = {"env": config_to_dict(env.config), "num_levels": num_levels, "seeds": numbers}
    folder.write_json("eval.json", {**about, "mean": mean, "standard_error": error})
    fewest = {who: of["found_again"] for who, of in over_seeds(of_seeds, min).items()}
    return [*table(mean, error, fewest), f"means over {len(seeds)} seeds and their standard errors"]


def over_seeds(of_seeds: Sequence[Results], statistic: Callable[[Sequence[float]], Any]) -> Results:
    """A statistic of each number over the seeds; of return, the error over levels left out."""
    first = of_seeds[0]
    return {
        who: {
            metric: float(statistic([results[who][metric] for results in of_seeds]))
            for metric in first[who]
            if metric != "return_standard_error"
        }
        for who in first
    }


def table(
    results: Results, error: Results | None = None, fewest: Mapping[str, float] | None = None
) -> list[str]:
    """Who does how well, for a person.

    Args:
        results: of a seed, or means over seeds.
        error: standard errors of the means.
        fewest: who -> the fewest episodes with two finds that a seed has, if there are several. A
            memory gain from too few is left out.
    """
    metrics = {
        "mean return": ("mean_return", 2),
        "first find": ("first_find_steps", 1),
        "memory gain": ("memory_gain", 2),
        "found again": ("found_again", 0),
    }
    lines, notes = [["", *metrics]], []
    for who, result in results.items():
        cells = []
        for metric, digits in metrics.values():
            found = fewest[who] if fewest else result["found_again"]
            if metric == "memory_gain" and found < MIN_FOUND_AGAIN:
                cells.append("")
                notes = [NO_GAIN]
                continue
            cell = f"{result[metric]:.{digits}f}"
            if error is not None and who != "random":
                cell += f" ± {error[who][metric]:.{digits}f}"
            cells.append(cell)
        lines.append([who, *cells])
    return [*aligned(lines), *notes]


def _standard_error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))
