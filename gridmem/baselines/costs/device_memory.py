"""How much memory the device has for a run."""

from pathlib import Path

import jax

_V1_UNLIMITED = 2**62  # what version 1 says, rounded to pages, where there is no limit


def device_memory() -> int | None:
    """Bytes that this process may use on its first device; None if that cannot be told.

    On a GPU the part that JAX has reserved. On a CPU what the system says is available, or what
    is left of the process's control group if that is less.
    """
    device = jax.devices()[0]
    if device.platform == "cpu":
        return available()
    statistics = device.memory_stats() or {}
    return statistics.get("bytes_limit")


def available(root: Path = Path("/")) -> int | None:
    """Bytes of main memory that this process may still take; None if the system does not say.

    Args:
        root: of the file system that holds /proc and /sys.
    """
    system = _fields(root / "proc/meminfo").get("MemAvailable")
    told = [_left(folder) for folder in _groups(root)]
    told.append(None if system is None else system * 1024)
    return min((number for number in told if number is not None), default=None)


def _groups(root: Path) -> list[Path]:
    """The folders of the process's control groups and of those around them, which limit it, too."""
    folders = []
    for line in _lines(root / "proc/self/cgroup"):
        *_, controllers, path = ["", *line.split(":", 2)]
        if controllers and "memory" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        group = Path(path.lstrip("/"))
        folders += [top / group, *(top / parent for parent in group.parents)]
    return folders


def _left(folder: Path) -> int | None:
    """What a control group of either version may still take; None if it has no limit."""
    for limit_file, usage_file, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit, usage = _number(folder / limit_file), _number(folder / usage_file)
        if limit is None or usage is None or limit > _V1_UNLIMITED:
            continue
        # Files that were read count as used, but give way.
        return max(0, limit - usage + _fields(folder / "memory.stat").get(cache, 0))
    return None


def _number(file: Path) -> int | None:
    lines = _lines(file)
    return int(lines[0]) if lines and lines[0].isdigit() else None


def _fields(file: Path) -> dict[str, int]:
    """The numbers in a file of lines such as `MemAvailable: 24172108 kB`, by name."""
    words = [line.replace(":", " ").split() for line in _lines(file)]
    return {each[0]: int(each[1]) for each in words if len(each) > 1 and each[1].isdigit()}


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
