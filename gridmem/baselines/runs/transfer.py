"""A run that starts from a trained network: which of its tensors fit, and their values."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from safetensors.numpy import load_file

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.runs.weights import named, read_config

BLOCKS = "blocks."
_SHARED = (BLOCKS, "final_norm.")
_OF_BLOCKS = ("mixer", "num_layers", "width", "ff_width", "num_heads", "num_kv_heads", "head_dim")
_OF_BLOCKS += ("rope_base", "qk_norm")
_OF_VALUES = "value_head", "value_bins", "value_min", "value_max", "value_sigma"


class Transfer(NamedTuple):
    """The tensors of a run that another run begins with.

    Attributes:
        path: of the weights.
        tensors: name in the new run -> value.
        fresh: names of the other parameters of the new run.
        sources: id in the new run -> that of the environment of a mixture whose tensors it has.
    """

    path: Path
    tensors: dict[str, np.ndarray]
    fresh: list[str]
    sources: dict[str, str]

    @property
    def about(self) -> str:
        """What is taken and what is not, in one line."""
        own = [name for name in self.tensors if not name.startswith(BLOCKS)]
        num_blocks = len({name.split(".")[1] for name in self.tensors if name.startswith(BLOCKS)})
        taken = [f"{num_blocks} {'block' if num_blocks == 1 else 'blocks'}", *own]
        fresh = f"; fresh: {', '.join(self.fresh)}" if self.fresh else ""
        pairs = ", ".join(f"{id} has those of {source}" for id, source in self.sources.items())
        whose = f" ({pairs})" if own and pairs else ""
        return f"from {self.path}: {', '.join(taken)}{whose}{fresh}"

    def applied(self, params: Any) -> Any:
        """New parameters with the tensors in their places, in each seed if there are several."""
        leaves = [
            _in_place_of(leaf, self.tensors[name]) if name in self.tensors else leaf
            for name, leaf in named(params).items()
        ]
        return jax.tree.unflatten(jax.tree.structure(params), leaves)


def _in_place_of(leaf: Array, tensor: np.ndarray) -> Array:
    # Committed to its devices only if the others are: otherwise the second update, all of whose
    # arrays are committed by the first one, compiles again.
    new = jnp.array(jnp.broadcast_to(tensor, leaf.shape))
    return jax.device_put(new, leaf.sharding) if leaf.committed else new


def plan_transfer(
    path: Path, params: Any, model: ModelConfig, ids: Sequence[str], only_blocks: bool
) -> Transfer:
    """Reads the tensors that fit: those with the name and the shape of one of the new run.

    What belongs to an environment is taken from one environment of the source: that of the same id,
    otherwise the one of which most tensors fit.

    Args:
        path: of the weights.
        params: of one seed of the new run, or their shapes.
        model: the network of the new run.
        ids: of its environments.
        only_blocks: leave out what belongs to one environment.

    Raises:
        OSError: if they cannot be read.
        ValueError: if they are no weights of PPO, or the blocks do not fit.
    """
    try:
        config = read_config(path)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is no agent that can be loaded: {error}") from None
    if config.method.name != "ppo":
        raise ValueError(f"{path} was trained by {config.method.name}, and not by ppo")
    for name in _OF_BLOCKS:
        here, there = getattr(model, name), getattr(config.model, name)
        if here != there:
            raise ValueError(
                f"the blocks in {path} do not fit: their {name} is {there}, and {here} in the new "
                "run"
            )
    found = load_file(path)
    if broken := [name for name, tensor in found.items() if not np.isfinite(tensor).all()]:
        raise ValueError(f"the tensor {broken[0]} in {path} has numbers that are not finite")
    same_values = all(getattr(model, x) == getattr(config.model, x) for x in _OF_VALUES)
    source_ids = list(config.make_method(acting=True).members)
    wanted = named(params)

    def fitting(prefix: str, number: int) -> dict[str, np.ndarray]:
        """The tensors of an environment of the new run that one of the source has."""
        of_source = f"members.{number}." if len(source_ids) > 1 else ""
        tensors = {}
        for name, leaf in wanted.items():
            local = name.removeprefix(prefix)
            if name.startswith(_SHARED) or not name.startswith(prefix):
                continue
            tensor = found.get(f"{of_source}{local}")
            of_value = local.startswith("value_")
            if tensor is not None and tensor.shape == leaf.shape and (same_values or not of_value):
                tensors[name] = tensor
        return tensors

    tensors, sources = {}, {}
    for name in filter(lambda name: name.startswith(_SHARED), wanted):
        if name not in found or found[name].shape != wanted[name].shape:
            # A registered mixer may be another one by now.
            raise ValueError(f"the blocks in {path} do not fit: {name} has another shape")
        tensors[name] = found[name]
    for number, id in enumerate(ids if not only_blocks else ()):
        prefix = f"members.{number}." if len(ids) > 1 else ""
        of_each = [fitting(prefix, each) for each in range(len(source_ids))]
        best = max(range(len(of_each)), key=lambda k, x=of_each: len(x[k]))
        chosen = source_ids.index(id) if id in source_ids else best
        tensors |= of_each[chosen]
        if len(source_ids) > 1:
            sources[id] = source_ids[chosen]
    in_order = {name: tensors[name] for name in wanted if name in tensors}
    return Transfer(path, in_order, [name for name in wanted if name not in tensors], sources)
