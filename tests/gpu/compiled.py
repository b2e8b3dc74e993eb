"""What the trainer's update becomes for an H100, compiled on a machine without one; it is not run.

    JAX_PLATFORMS=cpu uv run --extra cuda python tests/gpu/compiled.py reference --rollout-steps 128

JAX's CUDA plugin compiles without a device for a target that a file describes. cuDNN and Triton
kernels compile, too; XLA cannot time its choices, and takes what it would without timing.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
from hlo import Instruction, parse
from jax import ShapeDtypeStruct
from jax._src import config as jax_config
from jax._src.cudnn import fused_attention_stablehlo
from jax._src.pallas.triton import gpu_info
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding
from kernel_counts import Kernel, kernels

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.costs.abstract_run import abstract_run
from gridmem.baselines.costs.plan import Plan
from gridmem.baselines.costs.step_costs import mean_seen
from gridmem.baselines.ppo.learner import update
from gridmem.baselines.training.cli import parse as parse_command
from gridmem.baselines.training.kernel_choice import choose_kernels
from gridmem.envs.batch.rollout import CHUNK_STEPS

TARGET = Path(__file__).parent / "h100.txtpb"
CAPABILITY = 9, 0
CUDNN = 92600
MIB = 2**20


@dataclass(frozen=True)
class Loop:
    """What a loop does in one iteration, with the loops in it; a mean where it is in parts.

    Attributes:
        name: of what it does.
        trip_count: its iterations; None if XLA does not know them, or it is no loop.
        num_kernels: in an iteration.
        num_bytes: that these read and write.
    """

    name: str
    trip_count: int | None
    num_kernels: float
    num_bytes: float


@dataclass(frozen=True)
class CompiledUpdate:
    """An update as compiled.

    Attributes:
        agent_steps: in it.
        rollout: the loop over the steps.
        training: the loop over the minibatches.
        rest: all other kernels, each counted once in a loop of unknown length.
        unknown_loops: loops whose iterations XLA does not know.
        step_branches: those of them in a step of the rollout, and its conditionals.
        argument_bytes: of the learner, which is donated.
        temporary_bytes: at most, beside it.
        planned_bytes: what the plan expects of both.
    """

    agent_steps: int
    rollout: Loop
    training: Loop
    rest: Loop
    unknown_loops: int
    step_branches: int
    argument_bytes: int
    temporary_bytes: int
    planned_bytes: int

    @property
    def needed_bytes(self) -> int:
        """Of the device's memory."""
        return self.argument_bytes + self.temporary_bytes

    def bytes_per_step(self, loop: Loop) -> float:
        """Bytes per agent step of the update."""
        return (loop.trip_count or 1) * loop.num_bytes / self.agent_steps

    def table(self) -> str:
        """The counts, as a table in Markdown."""
        rows = [
            "| | iterations | kernels in one | MB in one | kB per agent step |",
            "|---|---|---|---|---|",
        ]
        for loop in (self.rollout, self.training, self.rest):
            trips = "" if loop.trip_count is None else f"{loop.trip_count:,}"
            per_step = self.bytes_per_step(loop) / 1e3
            rows.append(
                f"| {loop.name} | {trips} | {loop.num_kernels:,.0f} | {loop.num_bytes / 1e6:,.0f} "
                f"| {per_step:.1f} |"
            )
        memory = (
            f"memory in MiB: temporary {self.temporary_bytes / MIB:,.0f}, "
            f"all {self.needed_bytes / MIB:,.0f}, planned {self.planned_bytes / MIB:,.0f}; "
            f"loops of unknown length: {self.unknown_loops}, branches in a step: "
            f"{self.step_branches}"
        )
        return "\n".join([*rows, "", memory])


def compile_update(config: TrainConfig) -> CompiledUpdate:
    """Compiles the update of a run that chooses its kernels as on an H100; takes minutes.

    Args:
        config: of a run of whole episodes, or with `rollout_steps`, without a teacher.
    """
    config = choose_kernels(config, [CAPABILITY]).apply(config)
    run = abstract_run(config)
    with _as_on_the_device():
        traced = update.trace(config, run.env, run.graphdef, on_device(run.learner))
        compiled = traced.lower().compile()
        planned = Plan(config, None, fused=True).memory.peak
    memory, text = compiled.memory_analysis(), compiled.as_text()
    assert memory is not None
    assert text is not None
    # Tokens of rollouts that continue see kept ones, in the mean over an episode.
    num_seen = mean_seen(run.context_length, run.env.max_steps) if run.context_length else None
    found = kernels(parse(text), num_seen)
    steps, minibatches = run.num_steps, config.ppo.num_epochs * config.ppo.num_minibatches
    playing = _in_loops(found, steps, (CHUNK_STEPS, steps % CHUNK_STEPS))
    learning = _in_loops(found, minibatches)
    counted = {kernel.instruction.name for kernel in [*playing, *learning]}
    rest = [kernel for kernel in found if kernel.instruction.name not in counted]
    return CompiledUpdate(
        agent_steps=run.num_streams * steps,
        rollout=_loop("rollout", playing, steps),
        training=_loop("training", learning, minibatches),
        rest=Loop("the rest", None, *_totals(rest)),
        unknown_loops=len({x.name for k in found for x in _unknown(k)}),
        step_branches=len({x.name for k in playing for x in (*_unknown(k), *k.conditionals)}),
        argument_bytes=memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes,
        temporary_bytes=memory.temp_size_in_bytes,
        planned_bytes=planned,
    )


def on_device(tree: Any) -> Any:
    """The shapes of a tree of arrays, each with the target device as its place."""
    topology = topologies.get_topology_desc(
        platform="cuda", target_config=TARGET.read_text(), topology="1x1x1"
    )
    sharding = SingleDeviceSharding(topology.devices[0])
    return jax.tree.map(lambda x: ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)


@contextmanager
def _as_on_the_device() -> Iterator[None]:
    """JAX asks a present device for the version of cuDNN, and for that of Triton's target."""
    major, minor = CAPABILITY
    h100 = gpu_info.GpuInfo(
        gpu_version=gpu_info.GpuVersion.H100,
        arch_name=f"{major}.{minor}",
        compute_capability=10 * major + minor,
    )
    with (
        patch.object(fused_attention_stablehlo, "check_cudnn_version", lambda: CUDNN),
        patch.object(gpu_info, "get_gpu_info", lambda: h100),
        # It is for programs that can be loaded here.
        jax_config.enable_compilation_cache(False),
        jax.default_matmul_precision("default"),
    ):
        yield


def _in_loops(found: list[Kernel], iterations: int, parts: tuple[int, ...] = ()) -> list[Kernel]:
    """The kernels of a loop that XLA may have in parts, which have so many iterations together.

    Args:
        found: all kernels.
        iterations: of all parts.
        parts: trip counts that these may have. Of several loops that fit the one counts whose
            kernels have the most bytes.
    """
    by_loop: dict[Instruction, list[Kernel]] = {}
    for kernel in found:
        if kernel.loops:
            by_loop.setdefault(kernel.loops[0], []).append(kernel)
    fitting = [inside for loop, inside in by_loop.items() if loop.trip_count == iterations]
    cut = {loop: inside for loop, inside in by_loop.items() if loop.trip_count in parts}
    if sum(loop.trip_count or 0 for loop in cut) == iterations:
        fitting.append([kernel for inside in cut.values() for kernel in inside])
    if not fitting:
        raise ValueError(f"no loops have {iterations} iterations together")
    return max(fitting, key=lambda inside: _totals(inside)[1])


def _unknown(kernel: Kernel) -> list[Instruction]:
    """The loops around it whose iterations XLA does not know."""
    return [loop for loop in kernel.loops if loop.trip_count is None]


def _loop(name: str, inside: list[Kernel], iterations: int) -> Loop:
    return Loop(name, iterations, *(total / iterations for total in _totals(inside)))


def _totals(found: list[Kernel]) -> tuple[int, float]:
    """Launches, and the bytes of all."""
    return sum(k.repeats for k in found), sum(k.repeats * k.num_bytes for k in found)


def main(argv: Sequence[str]) -> None:
    """Prints the counts of a run that is named as for `gridmem.baselines.train`."""
    config = parse_command(argv, "compiled.py").config
    print(f"JAX {jax.__version__}, {TARGET.stem}, compiled and not run", end="\n\n")
    print(compile_update(config).table())


if __name__ == "__main__":
    main(sys.argv[1:])
