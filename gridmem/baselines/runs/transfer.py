"""A run that starts from a trained network: which of its tensors fit, and their values."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file

from gridmem.baselines.runs.weights import named, read_config

BLOCKS = "blocks."
_SHARED = (BLOCKS, "final_norm.")


class Transfer(NamedTuple):
    """The tensors of a run that another run begins with.

    Attributes:
        path: of the weights.
        tensors: name in the new run -> value.
        fresh: names of the other parameters of the new run.
    """

    path: Path
    tensors: dict[str, np.ndarray]
    fresh: list[str]

    @property
    def about(self) -> str:
        """What is taken and what is not, in one line."""
        own = [name for name in self.tensors if not name.startswith(BLOCKS)]
        num_blocks = len({name.split(".")[1] for name in self.tensors if name.startswith(BLOCKS)})
        taken = [f"{num_blocks} {'block' if num_blocks == 1 else 'blocks'}", *own]
        fresh = f"; fresh: {', '.join(self.fresh)}" if self.fresh else ""
        return f"from {self.path}: {', '.join(taken)}{fresh}"

    def applied(self, params: Any) -> Any:
        """New parameters with the tensors in their places, in each seed if there are several."""
        leaves = [
            jax.device_put(jnp.broadcast_to(self.tensors[name], leaf.shape), leaf.sharding)
            if name in self.tensors
            else leaf
            for name, leaf in named(params).items()
        ]
        return jax.tree.unflatten(jax.tree.structure(params), leaves)


def plan_transfer(path: Path, params: Any, ids: Sequence[str], only_blocks: bool) -> Transfer:
    """Reads the tensors that fit: those with the name and the shape of one of the new run.

    Of a mixture the environment of the same id is preferred, otherwise the first that has it.

    Args:
        path: of the weights.
        params: of one seed of the new run, or their shapes.
        ids: of its environments.
        only_blocks: leave out what belongs to one environment.

    Raises:
        OSError: if they cannot be read.
        ValueError: if they are no weights of PPO, or the blocks do not fit.
    """
    config = read_config(path)
    if config.method.name != "ppo":
        raise ValueError(f"{path} was trained by {config.method.name}, and not by ppo")
    found = load_file(path)
    source_ids = list(config.make_method(acting=True).members)
    tensors, fresh = {}, []
    for name, leaf in named(params).items():
        names = [name]
        if not name.startswith(_SHARED):
            names = [] if only_blocks else _candidates(name, ids, source_ids)
        fitting = [found[each] for each in names if each in found]
        fitting = [tensor for tensor in fitting if tensor.shape == leaf.shape]
        if fitting:
            tensors[name] = fitting[0]
        elif name.startswith(BLOCKS):
            here = list(found[name].shape) if name in found else "missing"
            raise ValueError(
                f"the blocks in {path} do not fit: {name} is {here}, and {list(leaf.shape)} in the "
                "new run; its mixer, layers and widths must be the same"
            )
        else:
            fresh.append(name)
    return Transfer(path, tensors, fresh)


def _candidates(name: str, ids: Sequence[str], source_ids: Sequence[str]) -> list[str]:
    """Names in the source of a tensor that belongs to one environment, the best first."""
    number, local = 0, name
    if name.startswith("members."):
        _, place, local = name.split(".", 2)
        number = int(place)
    if len(source_ids) == 1:
        return [local]
    order = sorted(range(len(source_ids)), key=lambda k: source_ids[k] != ids[number])
    return [f"members.{k}.{local}" for k in order]
