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
    "xla layers": {"feed_forward": "xla"},
    "int8": {"kv_dtype": "int8"},
    "int8, xla layers": {"kv_dtype": "int8", "feed_forward": "xla"},
    "parts": {},
    "parts, xla layers": {"feed_forward": "xla"},
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


@pytest.mark.parametrize("setting", ["xla layers", "default"])
@pytest.mark.parametrize("name", ["reference", "small"])
def test_the_tables_are_printed(name, setting):
    assert update(name, setting).agent_steps == preset(name).steps_per_update


@bounded
@pytest.mark.parametrize(
    ("setting", "num_kernels", "num_bytes"),
    [
        ("xla layers", 92, 310e3),
        ("default", 70, 235e3),
        ("int8, xla layers", 155, 225e3),
        ("int8", 133, 150e3),
        ("parts, xla layers", 118, 315e3),
        ("parts", 96, 240e3),
    ],
)
def test_the_rollout_has_few_kernels_and_bytes(setting, num_kernels, num_bytes):
    compiled = update("reference", setting)
    assert compiled.rollout.trip_count == (PART if setting.startswith("parts") else 512)
    assert compiled.step_branches == 0
    assert compiled.rollout.num_kernels <= num_kernels
    assert compiled.bytes_per_step(compiled.rollout) <= num_bytes


@bounded
@pytest.mark.parametrize(
    ("setting", "num_kernels", "num_bytes"),
    [
        ("xla layers", 645, 290e3),
        ("default", 590, 180e3),
        ("parts, xla layers", 640, 350e3),
        ("parts", 605, 226e3),
    ],
)
def test_training_has_few_kernels_and_bytes(setting, num_kernels, num_bytes):
    compiled = update("reference", setting)
    assert compiled.training.trip_count == 16
    assert compiled.training.num_kernels <= num_kernels
    assert compiled.bytes_per_step(compiled.training) <= num_bytes


# Loops: of the generation of levels until all caves are connected, and of parts over the levels.
@bounded
@pytest.mark.parametrize(
    ("setting", "num_bytes", "num_loops"),
    [
        ("xla layers", 3e3, 2),
        ("default", 3e3, 2),
        ("parts, xla layers", 24e3, 3),
        ("parts", 24e3, 3),
    ],
)
def test_the_rest_is_small(setting, num_bytes, num_loops):
    compiled = update("reference", setting)
    assert compiled.bytes_per_step(compiled.rest) <= num_bytes
    assert compiled.unknown_loops == num_loops


@bounded
@pytest.mark.parametrize(
    ("whole", "parts"), [("xla layers", "parts, xla layers"), ("default", "parts")]
)
def test_parts_of_episodes_have_at_most_1_3_times_the_bytes(whole, parts):
    assert total_bytes(update("reference", parts)) <= 1.3 * total_bytes(update("reference", whole))


def total_bytes(compiled):
    """Per agent step."""
    loops = compiled.rollout, compiled.training, compiled.rest
    return sum(map(compiled.bytes_per_step, loops))


@bounded
@pytest.mark.parametrize(
    ("setting", "mebibytes"),
    [
        ("xla layers", 6000),
        ("default", 2650),
        ("parts, xla layers", 3750),
        ("parts", 3750),
    ],
)
def test_the_temporary_memory_is_bounded(setting, mebibytes):
    assert update("reference", setting).temporary_bytes <= mebibytes * MIB


@bounded
@pytest.mark.parametrize(
    ("name", "setting", "error"),
    [
        ("reference", "xla layers", 0.15),
        ("reference", "default", 0.15),
        ("reference", "parts, xla layers", 0.15),
        ("reference", "parts", 0.15),
        ("small", "xla layers", 0.3),
        ("small", "default", 0.3),
    ],
)
def test_the_plan_is_what_the_program_needs(name, setting, error):
    compiled = update(name, setting)
    assert compiled.planned_bytes == pytest.approx(compiled.needed_bytes, rel=error)
