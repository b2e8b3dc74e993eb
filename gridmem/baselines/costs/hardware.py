"""The machine: its name and versions, the memory of its device, and its speed."""

import os
import platform
import time
from collections.abc import Sequence
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

import gridmem
from gridmem.baselines.model.layers import precision

LIBRARIES = ("jax", "jaxlib", "flax", "numpy")
SIDES = {"cpu": (1024, 2048)}
ACCELERATOR_SIDES = (4096, 8192, 16384)
REPEATS = 5
_V1_UNLIMITED = 2**62  # version 1 of control groups reports 2**63, rounded to pages, for no limit


class Machine(NamedTuple):
    """A device, the versions of the software, and the day."""

    date: str  # year-month-day
    platform: str
    device: str  # its kind; for a CPU the number of cores and their kind
    python: str
    versions: dict[str, str]  # library -> version

    def __str__(self) -> str:
        versions = (f"{name} {number}" for name, number in self.versions.items())
        return ", ".join([self.date, self.device, f"Python {self.python}", *versions])


def this_machine() -> Machine:
    """This machine, with JAX's first device."""
    device = jax.devices()[0]
    kind = f"{os.cpu_count()} x {cpu_model()}" if device.platform == "cpu" else device.device_kind
    # The package itself may be used from a folder, without having been installed.
    versions = {"gridmem": gridmem.__version__, **{name: version(name) for name in LIBRARIES}}
    today = date.today().isoformat()
    return Machine(today, device.platform, kind, platform.python_version(), versions)


def cpu_model() -> str:
    """The name of the processor on Linux, elsewhere its architecture."""
    lines = _lines(Path("/proc/cpuinfo"))
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def device_memory() -> int | None:
    """Bytes that this process may use on its first device; None if unknown.

    On a GPU the part that JAX reserves; on a CPU see `available_memory`.
    """
    device = jax.devices()[0]
    if device.platform == "cpu":
        return available_memory()
    return (device.memory_stats() or {}).get("bytes_limit")


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes of main memory that this process may still use; None if unknown.

    The least of what the system has available and what the control groups of the process allow.

    Args:
        root: of the file system that holds /proc and /sys.
    """
    system = _fields(root / "proc/meminfo").get("MemAvailable")
    limits = [_group_memory(folder) for folder in _groups(root)]
    limits.append(None if system is None else system * 1024)
    return min((number for number in limits if number is not None), default=None)


def _groups(root: Path) -> list[Path]:
    """The folders of the process's control groups and of their parents, which limit it, too."""
    folders = []
    for line in _lines(root / "proc/self/cgroup"):
        *_, controllers, path = ["", *line.split(":", 2)]
        if controllers and "memory" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        group = Path(path.lstrip("/"))
        folders += [top / group, *(top / parent for parent in group.parents)]
    return folders


def _group_memory(folder: Path) -> int | None:
    """Bytes that a control group of either version may still use; None if it has no limit."""
    for limit_file, usage_file, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit, usage = ("".join(_lines(folder / name)) for name in (limit_file, usage_file))
        if limit.isdigit() and usage.isdigit() and int(limit) <= _V1_UNLIMITED:
            # The usage includes cached files, which the system drops when memory is needed.
            cached = _fields(folder / "memory.stat").get(cache, 0)
            return max(0, int(limit) - int(usage) + cached)
    return None


def _fields(file: Path) -> dict[str, int]:
    """Name -> number, in a file of lines such as `MemAvailable: 24172108 kB`."""
    words = [line.replace(":", " ").split() for line in _lines(file)]
    return {each[0]: int(each[1]) for each in words if len(each) > 1 and each[1].isdigit()}


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []


def matmul_speed(dtype: str, sides: Sequence[int] | None = None) -> float:
    """FLOP/s of products of square matrices on the first device, the best of all sizes.

    Args:
        dtype: of the matrices.
        sides: their sizes; by default large ones, for which the device is fastest.
    """
    if sides is None:
        sides = SIDES.get(jax.default_backend(), ACCELERATOR_SIDES)
    speeds = []
    for side in sides:
        # Random numbers: a GPU multiplies constants faster, with less power.
        square = jax.random.normal(jax.random.key(0), (side, side), dtype)
        multiply = jax.jit(partial(jnp.matmul, precision=precision(square.dtype)))
        multiply(square, square).block_until_ready()
        for _ in range(REPEATS):
            begin = time.perf_counter()
            multiply(square, square).block_until_ready()
            speeds.append(2 * side**3 / (time.perf_counter() - begin))
    return max(speeds)
