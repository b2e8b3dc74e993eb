"""The text that a run prints before it starts."""

import jax

from gridmem.baselines.config import TrainConfig
from gridmem.envs.batch.mixture import compiles_slowly
from gridmem.envs.environment import is_on_host


def announcement(
    name: str,
    config: TrainConfig,
    num_parameters: int,
    steps_done: int,
    kernels: str,
    num_devices: int,
    path: str,
) -> str:
    """A few lines about a run, one topic each.

    Args:
        name: of the preset or the run.
        config: of the run.
        num_parameters: of one model.
        steps_done: agent steps before the run was resumed.
        kernels: not shown for other methods than PPO.
        num_devices: that the run uses.
        path: of the run directory.
    """
    model, name_of = config.model, config.method.name
    uses_model = "model" in config.method.sections
    of_attention = model.mixer == "attention"
    has_kernels = name_of == "ppo" and (of_attention or jax.default_backend() == "gpu")
    parameters = f"{num_parameters:,} parameters"
    topics = {
        "preset": f"{name}, {_seeds(config)}",
        "method": "" if name_of == "ppo" else name_of,
        "environment": f"{config.env.env_id}: {config.make_env().about}",
        "model": f"mixer {model.mixer}, {model.num_layers} "
        f"layer{'s' * (model.num_layers != 1)} of width {model.width}, "
        f"{parameters}, {model.dtype}"
        if uses_model
        else parameters,
        "attention" if of_attention else "kernels": kernels if has_kernels else "",
        "training": _steps(config, steps_done),
        "episodes": _episodes(config, steps_done),
        "device": _devices(num_devices),
        "run folder": path,
        "compiling": _compiling(config),
    }
    return "\n".join(f"{topic:11}  {text}" for topic, text in topics.items() if text)


def _seeds(config: TrainConfig) -> str:
    if config.num_seeds == 1:
        return f"seed {config.seed}"
    return f"seeds {config.seed} to {config.seed + config.num_seeds - 1}, independent of each other"


def _steps(config: TrainConfig, steps_done: int) -> str:
    updates, of_update = config.num_updates, config.steps_per_update
    text = (
        f"{updates * of_update:,} {config.method.step_kind} steps: {updates:,} "
        f"update{'s' if updates > 1 else ''} of {of_update:,}"
    )
    if steps_done:
        text += f", {steps_done:,} already done"
    if config.total_steps < of_update:
        asked = f"{config.total_steps:,} requested"
        text += f" ({asked}, but a run consists of whole updates)"
    return text


def _episodes(config: TrainConfig, steps_done: int) -> str:
    if not steps_done or not is_on_host(config.make_env()):
        return ""
    return "new ones begin, as an environment that Python steps cannot be saved"


def _compiling(config: TrainConfig) -> str:
    if not compiles_slowly(config.make_env()):
        return ""
    text = "takes some minutes; XLA may report slow operations meanwhile"
    if folder := jax.config.jax_compilation_cache_dir:
        text += f"; the next run takes the programs from {folder}"
    return text


def _devices(num_devices: int) -> str:
    device, there, processes = jax.devices()[0], jax.device_count(), jax.process_count()
    text = f"{num_devices} x {device.device_kind} ({device.platform})"
    if processes > 1:
        return f"{text} of {processes} processes"
    if num_devices == there:
        return text
    return f"{text} of {there} (must divide the environments and the streams of a minibatch)"
