"""The weights of an agent as one safetensors file, with its configuration in the metadata."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

import gridmem
from gridmem.baselines.config import TrainConfig, from_dict, to_dict

FORMAT = "gridmem-agent-1"


def to_bytes(config: TrainConfig, params: Any, steps: int) -> bytes:
    """A safetensors file; `docs/agents.md` has its format.

    Args:
        config: of the run.
        params: the model's, f32.
        steps: agent steps that it was trained for.
    """
    tensors = {name: np.asarray(leaf, order="C") for name, leaf in named(params).items()}
    metadata = {
        "format": FORMAT,
        "config": json.dumps(to_dict(config)),
        "steps": str(steps),
        "gridmem": gridmem.__version__,
    }
    return _sorted_metadata(save(tensors, metadata))


def read_config(path: Path) -> TrainConfig:
    """Reads the config of the run that wrote a file.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is not a file of weights, or its config is invalid.
    """
    with _open(path) as file:
        metadata = file.metadata() or {}
    if metadata.get("format") != FORMAT:
        raise ValueError(f"its format is {metadata.get('format')!r}; it must be {FORMAT!r}")
    config = json.loads(metadata.get("config", "null"))
    if not isinstance(config, dict):
        raise ValueError("its configuration is not a dict of settings")
    return from_dict(config)


def read_params(path: Path, like: Any) -> Any:
    """Reads the parameters in a file.

    Args:
        path: the file.
        like: a tree of the same names and shapes, f32.

    Raises:
        OSError: if it cannot be read.
        ValueError: if names, shapes or dtypes differ, or a number is not finite.
    """
    wanted = {name: f"F32{list(leaf.shape)}" for name, leaf in named(like).items()}
    with _open(path) as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        found = {name: f"{x.get_dtype()}{x.get_shape()}" for name, x in slices.items()}
        for name in sorted(wanted.keys() | found.keys()):
            here, right = found.get(name, "missing"), wanted.get(name, "absent")
            if here != right:
                raise ValueError(
                    f"its tensor {name} is {here}; by its configuration it must be {right}"
                )
        tensors = {name: file.get_tensor(name) for name in wanted}
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise ValueError(f"its tensor {name} has numbers that are not finite")
    leaves = [jnp.asarray(tensor) for tensor in tensors.values()]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _sorted_metadata(data: bytes) -> bytes:
    """A file with sorted metadata: the order of safetensors varies."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[end:]


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise ValueError(f"it is damaged ({error})") from None


def named(params: Any) -> dict[str, Any]:
    """Leaves by name, in the order of the tree: blocks.0.mixer.query and so on."""
    named = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        parts = [getattr(key, "key", None) for key in path]
        named[".".join(str(part) for part in parts if part is not None)] = leaf
    return named
