"""Bounds on the trainer's update as compiled for an H100, which is not run here.

    JAX_PLATFORMS=cpu uv run --extra cuda pytest -m gpu_compile -n 0 -s tests/gpu

A bound is for the JAX that `pyproject.toml` pins; with another one the tables are printed alone.
"""

import importlib.util
from functools import cache

import jax
import pytest
from compiled import MIB, compile_update

from gridmem.baselines.presets import preset

PINNED = "0.12.0.1"
pytestmark = [
    pytest.mark.gpu_compile,
    pytest.mark.skipif(
        importlib.util.find_spec("jax_cuda13_plugin") is None, reason="needs --extra cuda"
    ),
]
bounded = pytest.mark.skipif(jax.__version__ != PINNED, reason=f"bounds are for JAX {PINNED}")


@cache
def update(name):
    compiled = compile_update(preset(name))
    print(f"\n{name}, JAX {jax.__version__}, compiled and not run\n\n{compiled.table()}")
    return compiled


@pytest.mark.parametrize("name", ["reference", "small"])
def test_the_tables_are_printed(name):
    assert update(name).agent_steps == preset(name).steps_per_update


@bounded
def test_the_rollout_has_few_kernels_and_bytes():
    compiled = update("reference")
    assert compiled.rollout.trip_count == 512
    assert compiled.rollout.num_kernels <= 70
    assert compiled.bytes_per_step(compiled.rollout) <= 235e3


@bounded
def test_training_has_few_kernels_and_bytes():
    compiled = update("reference")
    assert compiled.training.trip_count == 16
    assert compiled.training.num_kernels <= 590
    assert compiled.bytes_per_step(compiled.training) <= 180e3


@bounded
def test_the_rest_is_small():
    compiled = update("reference")
    assert compiled.bytes_per_step(compiled.rest) <= 3e3
    assert compiled.unknown_loops == 2  # of the generation of levels, until all caves are connected


@bounded
def test_the_temporary_memory_is_bounded():
    assert update("reference").temporary_bytes <= 2650 * MIB


@bounded
@pytest.mark.parametrize(("name", "error"), [("reference", 0.15), ("small", 0.3)])
def test_the_plan_is_what_the_program_needs(name, error):
    compiled = update(name)
    assert compiled.planned_bytes == pytest.approx(compiled.needed_bytes, rel=error)
