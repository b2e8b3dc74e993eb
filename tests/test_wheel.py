"""The wheel as users get it: built, installed into a venv of its own, and played elsewhere."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EPISODE = """
import sys, pathlib, gridmem, gymnasium
home = pathlib.Path(gridmem.__file__).parent
assert home.is_relative_to(sys.prefix), home
assert (home / "assets").is_dir() and (home / "py.typed").is_file()
heavy = {"jax", "pettingzoo", "flax", "pygame"} & sys.modules.keys()
assert not heavy, heavy
env = gymnasium.make("GridMem-9x9-v0", render_mode="rgb_array")
obs, info = env.reset(seed=0)
done = False
while not done:
    obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
    done = terminated or truncated
print("played", info["steps"], "steps")

from gridmem.envs.assets import asset
assert asset("sprites.png").parent == home / "assets"
assert asset("weights") == home / "assets" / "weights"  # where released agents are looked for
assert len(set(map(tuple, env.render().reshape(-1, 3)))) > 20, "drawn in plain colours"
"""


def uv(*arguments, cwd):
    """Runs uv from its cache alone, and only if that does not suffice with the network."""
    env = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    for offline in ("1", "0"):
        result = subprocess.run(
            ["uv", *map(str, arguments)],
            cwd=cwd,
            env=env | {"UV_OFFLINE": offline},
            capture_output=True,
            text=True,
        )
        if result.returncode == 0:
            return
    pytest.fail(f"uv {arguments[0]} failed:\n{result.stderr}")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--wheel", "--out-dir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_wheel_has_all_of_the_package_and_nothing_else(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    for folder, prefix in ((ROOT / "gridmem", "gridmem"), (ROOT / "assets", "gridmem/assets")):
        files = {p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
        files -= set((ROOT / "assets").glob("make_*.py"))  # they made the others
        expected = {f"{prefix}/{p.relative_to(folder).as_posix()}" for p in files}
        assert expected <= inside
    assert not [name for name in inside if "make_" in name]
    assert "gridmem/py.typed" in inside
    assert {"gridmem/assets/sprites.png", "gridmem/assets/font.png"} <= inside
    assert {name.split("/")[0] for name in inside if ".dist-info/" not in name} == {"gridmem"}


def test_released_weights_come_along(tmp_path):
    tree = tmp_path / "tree"
    for folder in ("gridmem", "assets"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, tree)
    (tree / "assets" / "weights" / "new.safetensors").write_bytes(b"weights")
    uv("build", "--wheel", "--out-dir", tmp_path, tree, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    assert zipfile.ZipFile(wheel).read("gridmem/assets/weights/new.safetensors") == b"weights"


def test_an_episode_from_the_installed_wheel(wheel, tmp_path):
    # The versions of this environment are in uv's cache.
    versions = [f"{d.name}=={d.version}" for d in distributions() if d.name != "gridmem"]
    (tmp_path / "constraints.txt").write_text("\n".join(versions))
    uv("venv", "--python", sys.executable, tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    uv(
        *("pip", "install", "--python", python, "--constraint", "constraints.txt", wheel),
        cwd=tmp_path,
    )
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    result = subprocess.run(
        [python, "-W", "error", "-c", EPISODE],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "played 64 steps\n"
