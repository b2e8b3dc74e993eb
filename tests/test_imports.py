"""Who may import whom, what `import gridmem` loads, and that importing computes nothing."""

import ast
import fnmatch
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gridmem"

CORE = "envs/types envs/noise envs/maps envs/rules envs/views envs/tasks envs/env"
ENVS = f"{CORE} envs/forks envs/spec envs/registry envs/policy envs/unroll envs/levels envs/metrics"
FACE = f"numpy gymnasium {ENVS} envs/formats envs/packing envs/seeding envs/simulator ~render/*"
BATCH = f"jax {ENVS} envs/formats envs/vector"
TRAINER = f"jax numpy flax optax {ENVS} baselines/config"

# What each file may import beside the standard library and jaxtyping: files of the package by
# path, other libraries by name; "~" marks what it may import inside a function only.
# A new file gets a row here: where it stands is a decision, not an accident.
MAY_IMPORT = {
    "__init__": "envs/registry",
    "pettingzoo": "pettingzoo envs/registry",
    "command_line": "envs/registry",
    "envs/__init__": "",
    "envs/types": "jax numpy",
    "envs/noise": "jax numpy",
    "envs/cells": "jax numpy",
    "envs/maps": "jax numpy envs/types envs/noise envs/cells",
    "envs/rules": "jax numpy envs/types envs/noise",
    "envs/views": "jax numpy envs/types envs/noise",
    "envs/tasks": "jax numpy envs/types envs/maps",
    "envs/env": f"jax numpy {CORE}",
    "envs/forks": "",
    "envs/registry": "envs/forks ~gymnasium ~envs/env ~envs/spec",
    "envs/spec": f"{CORE} envs/registry",
    "envs/policy": f"jax numpy {CORE}",
    "envs/unroll": f"jax numpy {CORE} envs/policy",
    "envs/levels": f"jax numpy {CORE}",
    "envs/metrics": f"jax numpy {CORE} envs/trace",
    "envs/groups": "jax numpy envs/forks",
    "envs/paths": f"jax numpy {CORE} envs/cells envs/groups",
    "envs/oracle": f"jax numpy {CORE} envs/groups envs/paths",
    "envs/scripted": f"jax numpy {CORE} envs/policy envs/groups envs/paths",
    "envs/assets": "",
    "envs/packs": f"numpy {CORE} envs/assets envs/levels envs/registry",
    "envs/bootstrap": "numpy",
    "envs/score": "numpy envs/bootstrap envs/packs",
    "envs/trace": f"jax numpy {CORE} envs/groups envs/paths",
    # What the faces share, and the faces: nothing of the core may know them.
    "envs/formats": f"jax numpy gymnasium {CORE} envs/registry",
    "envs/packing": f"jax numpy {CORE} envs/formats",
    "envs/seeding": f"jax numpy gymnasium {CORE}",
    "envs/vector": f"jax {CORE} envs/groups envs/seeding envs/unroll",
    "envs/simulator": f"jax {FACE}",
    "envs/gymnasium_env": FACE,
    "envs/record_metrics": f"jax {FACE} envs/gymnasium_env",
    "envs/vector_answers": f"{BATCH} numpy envs/packing",
    "envs/vector_programs": f"{BATCH} gymnasium envs/packing envs/seeding envs/vector_answers",
    "envs/vector_input": f"{BATCH} numpy gymnasium",
    "envs/vector_simulator": f"{BATCH} numpy gymnasium envs/packing envs/seeding envs/vector_*",
    "envs/gymnasium_vector_env": f"{FACE} envs/vector envs/vector_*",
    "envs/gymnax_spaces": "jax gymnasium",
    "envs/gymnax_env": f"{BATCH} envs/gymnax_spaces",
    "envs/pettingzoo_env": f"{FACE} pettingzoo",
    "render/__init__": "",
    "render/png": "numpy",
    "render/sprites": "numpy envs/assets render/png",
    "render/draw": f"numpy {ENVS} render/sprites",
    "render/video": "numpy render/png ~imageio_ffmpeg ~command_line",
    "render/text": f"numpy {ENVS}",
    "render/font": "numpy",
    "render/paint": "numpy",
    "render/captions": "numpy render/font render/paint",
    "render/heat": "numpy",
    "render/scene": "numpy envs/types render/captions render/draw render/font render/heat "
    "render/paint",
    "render/trips": f"jax numpy {ENVS} envs/paths",
    "render/way": "numpy envs/types render/draw render/heat render/paint render/sprites "
    "render/trips",
    "render/summary": f"numpy {ENVS} render/font render/heat render/paint render/sprites "
    "render/trips render/way",
    # The play application: a game, what is shown of it, and the window around it.
    "render/players": f"jax numpy {ENVS} envs/oracle envs/paths",
    "render/session": f"jax numpy {ENVS} render/players",
    "render/cast": "numpy render/players render/session",
    "render/caves": f"jax numpy {ENVS} envs/packs envs/seeding",
    "render/scores": f"jax numpy {ENVS} envs/oracle envs/paths envs/trace",
    "render/replay": f"numpy {ENVS}",
    "render/keys": "",
    "render/panel": "numpy render/cast render/keys render/players render/scores render/session",
    "render/game": f"{ENVS} render/cast render/caves render/keys render/panel render/scores "
    "render/session",
    "render/moments": "numpy render/game render/heat render/keys render/panel render/scene",
    "render/film": "numpy render/game render/moments render/png render/scene render/summary",
    "render/records": f"numpy {ENVS} render/game render/replay render/scores",
    "render/camera": "numpy render/png render/scene render/video",
    "render/window": "numpy ~pygame ~command_line",
    "render/viewer": "numpy render/window",
    "render/live": "numpy render/camera render/font render/game render/keys render/moments "
    "render/paint render/scene render/window",
    "render/options": "envs/registry command_line render/keys",
    "render/setup": f"numpy {ENVS} envs/scripted render/cast render/caves render/game "
    "render/players render/replay render/session",
    "baselines/__init__": "~baselines/agent ~command_line",
    "baselines/config": ENVS,
    "baselines/presets": f"{ENVS} baselines/config",
    "baselines/norm": TRAINER,
    "baselines/dense": "jax",
    "baselines/mixers/__init__": f"{TRAINER} baselines/mixers/*",
    "baselines/mixers/recurrence": TRAINER,
    "baselines/attention_kernels": "jax numpy baselines/dense",
    "baselines/decode_kernel": "jax numpy baselines/attention_kernels",
    "baselines/attention_choice": "jax numpy baselines/attention_kernels baselines/config "
    "baselines/decode_kernel baselines/devices",
    "baselines/mixers/*": f"{TRAINER} baselines/attention_kernels baselines/decode_kernel "
    "baselines/dense baselines/norm baselines/mixers/recurrence",
    # These know no model.
    "baselines/heads": TRAINER,
    "baselines/loss": TRAINER,
    "baselines/optimizer": TRAINER,
    "baselines/model": f"{TRAINER} baselines/mixers/__init__ baselines/dense baselines/heads "
    "baselines/norm",
    "baselines/model_policy": f"{TRAINER} baselines/model baselines/loss baselines/mixers/__init__",
    "baselines/devices": "jax numpy baselines/config",
    "baselines/ongoing": f"{TRAINER} envs/vector baselines/devices baselines/model "
    "baselines/model_policy",
    "baselines/learner": f"{TRAINER} baselines/devices baselines/model baselines/model_policy "
    "baselines/loss baselines/ongoing baselines/optimizer",
    "baselines/population": f"{TRAINER} baselines/devices baselines/learner",
    "baselines/evaluation": f"{TRAINER} envs/groups baselines/model baselines/model_policy",
    "baselines/checkpoint": "jax orbax baselines/devices baselines/learner",
    "baselines/weights": "jax numpy safetensors __init__ baselines/config",
    "baselines/actor": f"{TRAINER} envs/formats envs/simulator baselines/model "
    "baselines/model_policy baselines/ongoing",
    "baselines/agent": f"{TRAINER} envs/assets envs/registry baselines/actor baselines/learner "
    "baselines/mixers/__init__ baselines/model baselines/model_policy baselines/run_folder "
    "baselines/weights",
    # The run around the learner: these know no model either.
    "baselines/run_folder": "",
    "baselines/interruption": "",
    "baselines/display": "rich command_line",
    "baselines/curve": "numpy envs/metrics ~matplotlib",
    "baselines/command": "command_line envs/registry baselines/config baselines/presets",
    "baselines/trackers": "baselines/config ~tensorboardX ~wandb",
    "baselines/seed_log": "baselines/run_folder baselines/trackers",
    "baselines/training_log": "numpy baselines/display baselines/seed_log",
    "baselines/conclusion": f"{TRAINER} baselines/comparison baselines/curve baselines/evaluation "
    "baselines/report baselines/run_folder baselines/run_record baselines/text_table",
    "baselines/training": f"{TRAINER} baselines/*",
    # What a run will cost, before it is compiled.
    "baselines/operations": "jax",
    "baselines/costs": "jax baselines/operations",
    "baselines/outline": f"{TRAINER} baselines/learner baselines/model baselines/ongoing",
    "baselines/step_costs": f"{TRAINER} baselines/costs baselines/learner baselines/optimizer "
    "baselines/outline",
    "baselines/footprint": "jax baselines/costs baselines/devices baselines/outline "
    "baselines/population",
    "baselines/device_memory": "jax",
    "baselines/remedy": "baselines/config baselines/devices",
    "baselines/plan": "jax baselines/config baselines/costs baselines/device_memory "
    "baselines/devices "
    "baselines/footprint baselines/model baselines/outline baselines/remedy baselines/step_costs "
    "baselines/text_table",
    # How fast it is.
    "baselines/matmul_speed": "baselines/dense jax",
    "baselines/machine": "jax __init__",
    "baselines/benchmark": f"baselines/costs {TRAINER} baselines/learner baselines/matmul_speed "
    "baselines/outline "
    "baselines/step_costs",
    "baselines/bench_table": "baselines/benchmark",
    # Evaluation and comparison of runs that are there.
    "baselines/courses": f"{TRAINER} envs/packs baselines/agent baselines/evaluation",
    "baselines/report": f"numpy {ENVS} envs/score baselines/courses",
    "baselines/examination": f"{TRAINER} envs/bootstrap envs/score baselines/agent "
    "baselines/courses baselines/evaluation baselines/report",
    "baselines/text_table": "",
    "baselines/evaluation_table": "baselines/report baselines/text_table",
    "baselines/evaluation_picture": "envs/metrics baselines/report baselines/curve ~matplotlib",
    "baselines/run_names": "baselines/agent baselines/run_folder",
    "baselines/run_record": "envs/packs baselines/config baselines/courses baselines/run_folder",
    "baselines/comparison": "numpy baselines/config baselines/curve baselines/run_record "
    "baselines/text_table ~matplotlib",
    # Applications: everything lazily, so that a missing library can be named.
    "baselines/train": "~command_line ~baselines/*",
    "baselines/evaluate": "~jax ~numpy ~command_line ~envs/* ~baselines/* ~render/*",
    "baselines/compare": "~command_line ~baselines/*",
    "baselines/bench": "~jax ~command_line ~envs/registry ~baselines/*",
    "render/play": "~jax ~command_line ~envs/* ~baselines/* ~render/*",
}
APPLICATIONS = {
    "baselines/train",
    "baselines/evaluate",
    "baselines/compare",
    "baselines/bench",
    "render/play",
}

FILES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in PACKAGE.rglob("*.py")
}


def row_of(file):
    """The row of a file: its own, or the pattern that fits it."""
    fitting = [row for row in MAY_IMPORT if fnmatch.fnmatch(file, row)]
    return file if file in fitting else next(iter(fitting), None)


def imports_of(source):
    """Pairs (what, whether inside a function) of a file's imports; those for types left out."""
    found = set()

    def visit(node, lazy):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for child in node.orelse:
                visit(child, lazy)
            return
        if isinstance(node, ast.Import):
            found.update((name, lazy) for alias in node.names for name in named(alias.name))
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                found.update((name, lazy) for name in named(node.module, alias.name))
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, lazy)

    visit(ast.parse(source), False)
    return {(name, lazy) for name, lazy in found if name not in sys.stdlib_module_names} - {
        ("jaxtyping", False)
    }


def named(module, name=None):
    """The file of the package, or the library, that an import of a module or a name loads."""
    first, *rest = module.split(".")
    if first != "gridmem":
        return [first]
    for parts in ([*rest, name or ""], [*rest, name or "", "__init__"], rest, [*rest, "__init__"]):
        if (file := "/".join(part for part in parts if part)) in FILES:
            return [file]
    raise AssertionError(f"no file for the import of {module} {name or ''}")


def is_allowed(name, lazy, allowed):
    return any(
        fnmatch.fnmatch(name, pattern.removeprefix("~"))
        for pattern in allowed.split()
        if lazy or not pattern.startswith("~")
    )


@pytest.mark.parametrize("file", sorted(FILES))
def test_a_file_imports_only_what_its_row_allows(file):
    row = row_of(file)
    assert row is not None, f"gridmem/{file}.py is new: give it a row in MAY_IMPORT"
    found = imports_of(FILES[file].read_text())
    refused = [pair for pair in found if not is_allowed(*pair, MAY_IMPORT[row])]
    assert not refused, f"gridmem/{file}.py must not import {refused} (name, inside a function)"


@pytest.mark.parametrize("row", MAY_IMPORT)
def test_every_row_is_for_a_file_that_exists(row):
    assert fnmatch.filter(FILES, row)


def test_nothing_imports_an_application():
    for file, path in FILES.items():
        assert not APPLICATIONS & {name for name, _ in imports_of(path.read_text())}, file


def test_the_reading_of_imports_itself():
    source = """
import os, jax.numpy as jnp
from gridmem.envs import maps
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import pygame
def f():
    from gridmem.envs.env import Env
    import gridmem
"""
    expected = {("jax", False), ("envs/maps", False), ("envs/env", True), ("__init__", True)}
    assert imports_of(source) == expected
    assert is_allowed("envs/env", True, "~envs/*")
    assert not is_allowed("envs/env", False, "jax ~envs/*")


def run(code, **environment):
    """What a fresh interpreter, without the checks of the test run, prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


HEAVY = ["jax", "flax", "optax", "orbax", "pygame", "pettingzoo", "matplotlib", "rich"]


def test_importing_gridmem_loads_nothing_heavy():
    loaded = set(run("import sys, gridmem; print(*{name.split('.')[0] for name in sys.modules})"))
    assert "gymnasium" in loaded
    assert not loaded & set(HEAVY)


def test_importing_gridmem_takes_no_time_beside_gymnasium():
    # Processor time, which other programs do not lengthen; the first run may compile to bytecode.
    clock = "time.process_time()"
    code = f"import gymnasium, time; a = {clock}; import gridmem; print({clock} - a)"
    assert any(float(run(code)[0]) <= 0.15 for _ in range(3))


def test_the_core_loads_no_face_and_no_renderer():
    names = "print(*{name.split('.')[0] for name in sys.modules})"
    loaded = set(run(f"import sys, gridmem; gridmem.make('GridMem-v0'); {names}"))
    assert "jax" in loaded
    assert not loaded & set(HEAVY[1:])


def test_importing_computes_nothing():
    # With a platform that does not exist, jax fails at the first array that it is to make.
    modules = [f"gridmem.{file.replace('/', '.')}" for file in FILES if "__init__" not in file]
    code = f"""
import importlib
for module in {modules}:
    importlib.import_module(module)
import jax.numpy as jnp
try:
    jnp.zeros(1)
except RuntimeError:
    print("nothing")
"""
    assert run(code, JAX_PLATFORMS="nosuch") == ["nothing"]
