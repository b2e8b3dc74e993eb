"""Who may import whom, what `import gridmem` loads, and that importing computes nothing."""

import ast
import fnmatch
import os
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gridmem"

# What the files of each room may import beside the standard library and jaxtyping: rooms and
# files of the package by path, other libraries by name; "~" marks what they may import inside a
# function only. A file with a row of its own has only that.
GAME = "envs/*"
ENVS = "envs/* envs/batch/* envs/analysis/*"
MODEL = "baselines/config baselines/method baselines/model/* baselines/model/mixers/*"
ROWS = {
    "__init__": "envs/registry",
    "gymnasium": "envs/adapters/*",
    "pettingzoo": "pettingzoo envs/registry",
    "cli_utils": "~jax",
    # Importing these loads nothing: `import gridmem` does it.
    "envs/checks": "",
    "envs/registry": "envs/checks ~gymnasium ~envs/env ~envs/environment ~envs/config "
    "~envs/batch/mixture",
    "envs/env": f"jax numpy {GAME} ~envs/analysis/episode_stats",
    "envs/gymnasium_env": "envs/adapters/*",
    "envs/gymnasium_vector_env": "envs/adapters/*",
    "envs/*": f"jax numpy {GAME}",
    "envs/external/craftax_*": f"jax numpy {GAME} envs/analysis/episode_stats envs/external/* "
    "~craftax",
    "envs/external/xland_env": f"jax numpy {GAME} envs/analysis/episode_stats ~xminigrid",
    "envs/external/pendulum": f"jax numpy {GAME} envs/analysis/episode_stats envs/external/*",
    "envs/external/pendulum_picture": "numpy",
    "envs/external/gymnasium_host": f"numpy gymnasium {GAME} envs/analysis/episode_stats ~mujoco",
    "envs/external/__init__": "",
    "envs/batch/*": f"jax numpy gymnasium {GAME} envs/batch/*",
    "envs/analysis/*": f"jax numpy {ENVS}",
    "envs/adapters/gymnax_*": f"jax numpy gymnasium {ENVS} envs/adapters/*",
    "envs/adapters/pettingzoo_env": f"jax numpy gymnasium pettingzoo {ENVS} envs/adapters/*",
    "envs/adapters/*": f"jax numpy gymnasium {ENVS} envs/adapters/* ~render/*",
    # Pictures, and the application that plays; a policy is passed in.
    "render/window": "numpy ~pygame ~cli_utils",
    "render/video": "numpy ~PIL ~imageio_ffmpeg ~cli_utils",
    "render/*": f"numpy {ENVS} render/* ~PIL",
    "render/player/options": "envs/registry cli_utils render/player/keys",
    "render/player/*": f"jax numpy {ENVS} render/* render/player/*",
    # The trainer.
    "baselines/__init__": "~cli_utils",
    "baselines/tables": "",
    "baselines/setting_types": "",
    "baselines/registration": "envs/checks envs/registry",
    "baselines/method": "baselines/registration ~jax ~envs/batch/mixture",
    "baselines/env_settings": "envs/config baselines/setting_types",
    "baselines/config": "envs/registry envs/checks envs/config envs/environment "
    "envs/batch/mixture baselines/env_settings baselines/setting_types baselines/method "
    "baselines/registration baselines/ppo/settings baselines/offpolicy/settings "
    "baselines/offline/settings",
    "baselines/presets": "envs/* envs/batch/mixture baselines/config baselines/registration "
    "baselines/ppo/settings baselines/offpolicy/settings baselines/offline/settings",
    "baselines/model/mixers/*": "jax numpy flax baselines/config baselines/registration "
    "baselines/model/layers baselines/model/triton_backend baselines/model/mixers/*",
    "baselines/model/*": f"jax numpy flax {GAME} envs/batch/policy {MODEL}",
    "baselines/ppo/settings": "envs/batch/mixture envs/env envs/environment envs/maps "
    "baselines/method "
    "baselines/setting_types",
    "baselines/ppo/loss": "jax numpy envs/batch/policy baselines/ppo/settings "
    "baselines/training/imitation",
    "baselines/ppo/*": f"jax numpy flax optax {ENVS} {MODEL} baselines/ppo/* "
    "baselines/training/imitation baselines/training/optimizer ~baselines/agent",
    "baselines/offpolicy/settings": "envs/environment baselines/method baselines/setting_types",
    "baselines/offpolicy/*": f"jax numpy flax optax {ENVS} {MODEL} baselines/offpolicy/* "
    "baselines/training/imitation",
    "baselines/offline/settings": "envs/environment baselines/method baselines/setting_types "
    "baselines/offpolicy/settings",
    "baselines/offline/datasets": f"jax numpy {GAME} baselines/model/windows ~minari",
    "baselines/offline/recording": f"jax numpy __init__ {ENVS} ~minari ~gymnasium",
    "baselines/offline/sources": f"jax numpy {ENVS} baselines/agent baselines/method "
    "baselines/offline/recording baselines/evaluation/rollouts baselines/training/seeds",
    "baselines/offline/target_returns": "numpy envs/environment baselines/agent "
    "baselines/offline/* baselines/evaluation/* baselines/runs/plots ~matplotlib",
    "baselines/offline/td3_bc": f"jax flax {MODEL} baselines/offline/* baselines/offpolicy/* "
    "baselines/training/imitation",
    "baselines/offline/*": f"jax numpy flax optax {ENVS} {MODEL} baselines/offline/* "
    "baselines/training/imitation baselines/training/optimizer",
    "baselines/runs/run_dir": "",
    "baselines/runs/checkpoint": "jax orbax baselines/ppo/sharding",
    "baselines/runs/weights": "jax numpy safetensors __init__ baselines/config",
    "baselines/runs/transfer": "jax numpy safetensors baselines/config baselines/runs/weights",
    "baselines/runs/*": f"numpy {ENVS} baselines/config baselines/ppo/settings baselines/tables "
    "baselines/runs/* "
    "~matplotlib",
    "baselines/actor": f"jax numpy flax {ENVS} envs/adapters/* {MODEL} baselines/ppo/rollout",
    "baselines/agent": f"jax flax {ENVS} {MODEL} baselines/actor baselines/ppo/method "
    "baselines/runs/*",
    "baselines/evaluation/*": f"jax numpy flax {ENVS} baselines/agent baselines/tables "
    "baselines/method baselines/ppo/method baselines/model/policy baselines/runs/plots "
    "baselines/evaluation/* ~matplotlib",
    "baselines/costs/*": f"jax flax optax __init__ {ENVS} {MODEL} baselines/tables "
    "baselines/env_settings baselines/ppo/* baselines/training/seeds baselines/training/optimizer "
    "baselines/costs/*",
    "baselines/training/cli": "cli_utils envs/registry envs/checks baselines/config "
    "baselines/env_settings baselines/method baselines/presets baselines/setting_types "
    "baselines/ppo/settings",
    "baselines/training/imitation": "jax envs/batch/policy",
    "baselines/training/optimizer": "jax optax baselines/config",
    "baselines/training/signals": "baselines/training/display",
    "baselines/training/display": "rich baselines/ppo/sharding",
    "baselines/training/trackers": "baselines/config baselines/runs/run_dir ~tensorboardX ~wandb",
    "baselines/training/accelerated_comparison": "numpy baselines/* baselines/offpolicy/settings "
    "baselines/runs/* baselines/training/*",
    "baselines/training/*": f"jax numpy cli_utils {ENVS} {MODEL} baselines/tables baselines/agent "
    "baselines/ppo/* "
    "baselines/runs/* baselines/evaluation/* baselines/training/*",
    # Applications: everything lazily, so that a missing library can be named.
    "baselines/train": "~cli_utils ~envs/* ~baselines/*",
    "baselines/evaluate": "~jax ~numpy ~cli_utils ~envs/* ~baselines/* ~render/*",
    "baselines/accelerate": "~cli_utils ~envs/checks ~baselines/*",
    "baselines/compare": "~cli_utils ~baselines/*",
    "baselines/collect": "~cli_utils ~envs/* ~baselines/*",
    "baselines/decision_transformer": "~cli_utils ~envs/* ~baselines/*",
    "baselines/bench": "~jax ~cli_utils ~envs/registry ~envs/checks ~baselines/*",
    "render/play": "~jax ~cli_utils ~envs/* ~baselines/* ~render/*",
}
APPLICATIONS = {
    "baselines/train",
    "baselines/evaluate",
    "baselines/compare",
    "baselines/accelerate",
    "baselines/bench",
    "baselines/collect",
    "baselines/decision_transformer",
    "render/play",
}
MOST_FILES = 16  # of a room: what one sees at a glance

FILES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in PACKAGE.rglob("*.py")
}


def row_of(file):
    """The row of a file: its own, else the first whose pattern fits it."""
    fitting = [row for row in ROWS if matches(file, row)]
    return file if file in fitting else next(iter(fitting), None)


def matches(file, pattern):
    """Whether a pattern names a file; "room/*" are the files in the room and in none inside it."""
    return fnmatch.fnmatch(file, pattern) and file.count("/") == pattern.count("/")


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
    patterns = [each.removeprefix("~") for each in allowed.split() if lazy or each[0] != "~"]
    # What may be imported lazily may be from rooms inside the room, too.
    return any(fnmatch.fnmatch(name, each) if lazy else matches(name, each) for each in patterns)


@pytest.mark.parametrize("row", ROWS)
def test_files_import_only_what_their_row_allows(row):
    files = [file for file in FILES if row_of(file) == row]
    assert files, "a row for no file"
    for file in files:
        found = imports_of(FILES[file].read_text())
        refused = [pair for pair in found if not is_allowed(*pair, ROWS[row])]
        assert not refused, f"gridmem/{file}.py must not import {refused} (name, inside a function)"


def test_every_file_is_in_a_room_with_a_row():
    assert [file for file in FILES if row_of(file) is None and not is_marker(file)] == []


def is_marker(file):
    """Whether it is the `__init__` of a room, which imports nothing."""
    return file.endswith("__init__") and not imports_of(FILES[file].read_text())


def test_rooms_are_small():
    rooms = Counter(str(Path(file).parent) for file in FILES if not file.endswith("__init__"))
    assert not {room: number for room, number in rooms.items() if number > MOST_FILES}


def test_no_files_import_each_other():
    """Not through any number of others either."""
    eager = {
        file: {name for name, lazy in imports_of(path.read_text()) if "/" in name and not lazy}
        for file, path in FILES.items()
    }
    tuple(TopologicalSorter(eager).static_order())  # raises CycleError, which names them


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


HEAVY = ["jax", "flax", "optax", "orbax", "pygame", "PIL", "pettingzoo", "matplotlib", "rich"]


def test_importing_gridmem_loads_nothing_heavy():
    loaded = set(run("import sys, gridmem; print(*{name.split('.')[0] for name in sys.modules})"))
    assert "gymnasium" in loaded
    assert not loaded & set(HEAVY)


def test_importing_gridmem_takes_no_time_beside_gymnasium():
    # Processor time, which other programs do not lengthen; the first run may compile to bytecode.
    clock = "time.process_time()"
    code = f"import gymnasium, time; a = {clock}; import gridmem; print({clock} - a)"
    assert any(float(run(code)[0]) <= 0.15 for _ in range(3))


def test_the_core_loads_no_adapter_and_no_renderer():
    names = "print(*{name.split('.')[0] for name in sys.modules})"
    loaded = set(run(f"import sys, gridmem; gridmem.make('GridMem-v0'); {names}"))
    assert "jax" in loaded
    assert not loaded & set(HEAVY[1:])


@pytest.mark.slow
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
