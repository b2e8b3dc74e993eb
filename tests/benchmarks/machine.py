"""What a figure was measured on, in a line to stand beside it."""

import os
import platform
from datetime import date
from importlib.metadata import version

import jax

from gridmem.baselines.costs.hardware import cpu_model


def machine(*packages: str) -> str:
    """Date, device, and the versions of Python, JAX and the packages named."""
    device = jax.devices()[0]
    where = f"{os.cpu_count()} x {cpu_model()}" if device.platform == "cpu" else device.device_kind
    versions = ", ".join(f"{name} {version(name)}" for name in ("jax", "numpy", *packages))
    today = date.today().isoformat()
    return f"{today}, {device.platform}, {where}, Python {platform.python_version()}, {versions}"
