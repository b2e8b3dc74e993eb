"""What a figure was measured on."""

import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import jax

import gridmem

LIBRARIES = ("jax", "jaxlib", "flax", "numpy")


class Machine(NamedTuple):
    """A device, the software on it, and the day."""

    date: str  # year-month-day
    platform: str
    device: str  # its kind; of a CPU how many of which
    python: str
    versions: dict[str, str]  # library -> version

    def __str__(self) -> str:
        versions = (f"{name} {number}" for name, number in self.versions.items())
        return ", ".join([self.date, self.device, f"Python {self.python}", *versions])


def this_machine() -> Machine:
    """Where this process computes: on JAX's first device."""
    device = jax.devices()[0]
    kind = f"{os.cpu_count()} x {cpu_model()}" if device.platform == "cpu" else device.device_kind
    # The package itself may be used from a folder, without having been installed.
    versions = {"gridmem": gridmem.__version__, **{name: version(name) for name in LIBRARIES}}
    today = date.today().isoformat()
    return Machine(today, device.platform, kind, platform.python_version(), versions)


def cpu_model() -> str:
    """The processor's name where Linux tells it, else its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
