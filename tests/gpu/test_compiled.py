"""Bounds on the trainer's update as compiled for an H100, which is not run here.

    JAX_PLATFORMS=cpu uv run --extra cuda pytest -m gpu_compile -n 0 -s tests/gpu

A bound is for the JAX that `pyproject.toml` pins; with another one the tables are printed alone.
"""

import importlib.util
from dataclasses import replace
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


SETTINGS = {
    "default": {},
    "feed-forward": {"feed_forward": "triton"},
    "int8": {"kv_dtype": "int8"},
    "int8, feed-forward": {"kv_dtype": "int8", "feed_forward": "triton"},
    "parts": {},
    "parts, feed-forward": {"feed_forward": "triton"},
}
PART = 128  # steps of an update, where it plays parts of episodes


@cache
def update(name, setting):
    config = preset(name)
    steps = PART if setting.startswith("parts") else None
    method = replace(config.ppo, rollout_steps=steps)
    config = replace(config, model=replace(config.model, **SETTINGS[setting]), method=method)
    compiled = compile_update(config)
    title = f"{name}, {setting}, JAX {jax.__version__}, compiled and not run"
    print(f"\n{title}\n\n{compiled.table()}")
    return compiled


@pytest.mark.parametrize("setting", ["default", "feed-forward"])
@pytest.mark.parametrize("name", ["reference", "small"])
def test_the_tables_are_printed(name, setting):
    assert update(name, setting).agent_steps == preset(name).steps_per_update


@bounded
@pytest.mark.parametrize(
    ("setting", "num_kernels", "num_bytes"),
    [
        ("default", 92, 310e3),
        ("feed-forward", 70, 235e3),
        ("int8", 155, 225e3),
        ("int8, feed-forward", 133, 150e3),
    ],
)
def test_the_rollout_has_few_kernels_and_bytes(setting, num_kernels, num_bytes):
    compiled = update("reference", setting)
    assert compiled.rollout.trip_count == 512
    assert compiled.rollout.num_kernels <= num_kernels
    assert compiled.bytes_per_step(compiled.rollout) <= num_bytes


@bounded
@pytest.mark.parametrize(
    ("setting", "num_kernels", "num_bytes"),
    [("default", 645, 290e3), ("feed-forward", 590, 180e3)],
)
def test_training_has_few_kernels_and_bytes(setting, num_kernels, num_bytes):
    compiled = update("reference", setting)
    assert compiled.training.trip_count == 16
    assert compiled.training.num_kernels <= num_kernels
    assert compiled.bytes_per_step(compiled.training) <= num_bytes


@bounded
@pytest.mark.parametrize("setting", ["default", "feed-forward"])
def test_the_rest_is_small(setting):
    compiled = update("reference", setting)
    assert compiled.bytes_per_step(compiled.rest) <= 3e3
    assert compiled.unknown_loops == 2  # of the generation of levels, until all caves are connected


@bounded
@pytest.mark.parametrize(("setting", "mebibytes"), [("default", 6000), ("feed-forward", 2650)])
def test_the_temporary_memory_is_bounded(setting, mebibytes):
    assert update("reference", setting).temporary_bytes <= mebibytes * MIB


@bounded
@pytest.mark.parametrize("setting", ["default", "feed-forward"])
@pytest.mark.parametrize(("name", "error"), [("reference", 0.15), ("small", 0.3)])
def test_the_plan_is_what_the_program_needs(name, error, setting):
    compiled = update(name, setting)
    assert compiled.planned_bytes == pytest.approx(compiled.needed_bytes, rel=error)
