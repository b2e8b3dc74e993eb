"""The costs and the memory of a run, estimated before anything is compiled."""

from dataclasses import dataclass, replace
from functools import cached_property

import jax

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.costs.abstract_run import AbstractRun, abstract_run
from gridmem.baselines.costs.advice import advice
from gridmem.baselines.costs.hardware import device_memory
from gridmem.baselines.costs.jaxpr_costs import Costs, device_fuses
from gridmem.baselines.costs.memory import MemoryEstimate, estimate_memory
from gridmem.baselines.costs.step_costs import (
    StepCosts,
    gradient_costs,
    rollout_costs,
    training_costs,
)
from gridmem.baselines.model.actor_critic import num_parameters
from gridmem.baselines.ppo.sharding import usable_devices
from gridmem.baselines.tables import aligned

USABLE = 0.9
"""Share of the device's memory that a run may need; the rest is a reserve for wrong estimates."""

_LABELS = {
    "parameters": "parameters",
    "optimizer": "optimizer state",
    "rollout_state": "unfinished episodes",
    "levels": "level generation",
    "environments": "environments",
    "caches": "caches",
    "rollout": "rollout",
    "activations": "activations of a minibatch",
    "gradients": "gradients and updates",
}


@dataclass(frozen=True)
class Plan:
    """The costs and the memory of a run, from shapes alone; each is computed when it is read.

    Attributes:
        config: of the run.
        device_bytes: what this process may use on its device; None if unknown.
        num_devices: that its streams are sharded over, each with its own memory.
        fused: whether they are GPUs; see `estimate_costs`.
    """

    config: TrainConfig
    device_bytes: int | None
    num_devices: int = 1
    fused: bool = False

    @cached_property
    def num_parameters(self) -> int:
        """The number of parameters of the model."""
        return num_parameters(self._run.learner.params)

    @cached_property
    def rollout(self) -> StepCosts:
        """The costs of an agent step in the rollout."""
        return rollout_costs(self._run, self.fused)

    @cached_property
    def training(self) -> StepCosts:
        """The costs of an agent step in training."""
        return training_costs(self._run, self._gradient)

    @cached_property
    def memory(self) -> MemoryEstimate:
        """Bytes on each device, by purpose."""
        return estimate_memory(self._run, self._gradient, self.fused, self.num_devices)

    @property
    def usable_bytes(self) -> int:
        """Bytes that the run may use on each device; 0 if unknown."""
        return int(USABLE * (self.device_bytes or 0))

    @property
    def fits(self) -> bool:
        """Whether the run fits into the memory of the device, or that is unknown."""
        return self.device_bytes is None or self.memory.peak <= self.usable_bytes

    @cached_property
    def _run(self) -> AbstractRun:
        return abstract_run(self.config)

    @cached_property
    def _gradient(self) -> Costs:
        return gradient_costs(self._run, self.fused)


def plan(config: TrainConfig) -> Plan:
    """The plan of a run on all devices; the devices of a CPU share its memory."""
    num_devices = 1 if jax.default_backend() == "cpu" else usable_devices(config)
    return Plan(config, device_memory(), num_devices, device_fuses())


def table(plan: Plan) -> str:
    """The plan as a table; its last line says whether the run fits."""
    steps = plan.config.num_updates * plan.config.steps_per_update
    seeds = plan.config.num_seeds
    total = seeds * steps * (plan.rollout.flops + plan.training.flops)
    costs = [
        ("per agent step", "rollout", "training"),
        ("FLOP", _count(plan.rollout.flops), _count(plan.training.flops)),
        ("bytes moved by matmuls", _bytes(plan.rollout.bytes), _bytes(plan.training.bytes)),
    ]
    devices = plan.num_devices
    memory = [("memory" if devices == 1 else f"memory on each of {devices} devices", "")]
    for name, size in plan.memory._asdict().items():
        if size:
            memory.append((_LABELS[name], _bytes(size)))
    memory.append(("peak, rollout", _bytes(plan.memory.playing)))
    memory.append(("peak, training", _bytes(plan.memory.learning)))
    head = f"{_count(plan.num_parameters)} parameters; {_count(total)} FLOP for {steps:,} steps"
    if seeds > 1:
        head += f" of each of {seeds} seeds"
    return "\n".join([head, "", *aligned(costs), "", *aligned(memory), "", _verdict(plan)])


def problem(plan: Plan) -> str | None:
    """Why the run does not fit and what to change, in one sentence; None if it fits.

    Takes seconds if it does not fit: other runs are planned until one fits.
    """
    if plan.fits:
        return None
    sizes = plan.memory._asdict()
    largest = max(sizes, key=sizes.__getitem__)
    change = advice(plan.config, largest, lambda config: replace(plan, config=config).fits)
    return (
        f"{_verdict(plan)}; most of it is for {_LABELS[largest]} ({_bytes(sizes[largest])}): "
        f"{change or 'no single setting is enough, --plan shows the memory of each part'}"
    )


def _verdict(plan: Plan) -> str:
    peak, usable = plan.memory.peak, plan.usable_bytes
    device, needed = jax.devices()[0].device_kind, _bytes(peak)
    if plan.device_bytes is None:
        return f"the run needs {needed}; how much memory this {device} has is not known"
    if not plan.fits:
        return f"the run needs {needed} and may use no more than {_bytes(usable)} here ({device})"
    return (
        f"the run fits: it needs {needed} and may use {_bytes(usable)} here ({device}); "
        f"{_bytes(usable - peak)} are left"
    )


def _bytes(number: int | float) -> str:
    return _human(number, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])


def _count(number: int | float) -> str:
    return _human(number, 1000, ["", "k", "M", "G", "T", "P", "E", "Z", "Y"])


def _human(number: int | float, base: int, units: list[str]) -> str:
    """A number with three digits and a unit."""
    unit = 0
    while number >= 999.5 and unit < len(units) - 1:
        number, unit = number / base, unit + 1
    digits = 0 if number >= 99.95 or not unit else 1 if number >= 9.995 else 2
    return f"{number:.{digits}f} {units[unit]}".rstrip()
