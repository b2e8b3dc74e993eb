"""Value heads: the value that outputs stand for, and their loss against a target."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import erf
from jaxtyping import Array, Float32

from gridmem.baselines.config import ModelConfig


@runtime_checkable
class ValueHead(Protocol):
    """The interpretation of the K outputs of the last layer."""

    @property
    def num_outputs(self) -> int:
        """K."""
        ...

    def value(self, outputs: Float32[Array, "*batch K"]) -> Float32[Array, "*batch"]:
        """The value that the outputs stand for."""
        ...

    def loss(
        self, outputs: Float32[Array, "*batch K"], target: Float32[Array, "*batch"]
    ) -> Float32[Array, "*batch"]:
        """The loss of the outputs against a target, which is a constant."""
        ...

    def outside(self, target: Float32[Array, "*batch"]) -> Float32[Array, "*batch"]:
        """1 where a target cannot be represented, 0 elsewhere."""
        ...


@dataclass(frozen=True)
class SquaredError:
    """One output, the value itself; half the squared error."""

    @property
    def num_outputs(self) -> int:
        """See `ValueHead`."""
        return 1

    def value(self, outputs: Float32[Array, "*batch K"]) -> Float32[Array, "*batch"]:
        """See `ValueHead`."""
        return outputs[..., 0]

    def loss(
        self, outputs: Float32[Array, "*batch K"], target: Float32[Array, "*batch"]
    ) -> Float32[Array, "*batch"]:
        """See `ValueHead`."""
        return 0.5 * jnp.square(outputs[..., 0] - target)

    def outside(self, target: Float32[Array, "*batch"]) -> Float32[Array, "*batch"]:
        """See `ValueHead`."""
        return jnp.zeros_like(target)


@dataclass(frozen=True)
class HLGauss:
    """Logits of a histogram; cross-entropy with a Gaussian around the target.

    Imani & White 2018, "Improving regression performance with distributional losses"; Farebrother
    et al. 2024, "Stop regressing". The Gaussian is cut off at the ends of the histogram and scaled
    to sum to 1. A target beyond an end counts as that end.

    Attributes:
        num_bins: bins of equal width.
        low: left edge of the first.
        high: right edge of the last.
        sigma: deviation of the Gaussian in bin widths.
    """

    num_bins: int
    low: float
    high: float
    sigma: float

    @property
    def num_outputs(self) -> int:
        """See `ValueHead`."""
        return self.num_bins

    def value(self, outputs: Float32[Array, "*batch K"]) -> Float32[Array, "*batch"]:
        """The mean of the histogram, with the centres of the bins."""
        edges = self._edges()
        centres = (edges[1:] + edges[:-1]) / np.float32(2)
        return jnp.matmul(jax.nn.softmax(outputs), centres, precision=lax.Precision.HIGHEST)

    def loss(
        self, outputs: Float32[Array, "*batch K"], target: Float32[Array, "*batch"]
    ) -> Float32[Array, "*batch"]:
        """See `ValueHead`."""
        return -jnp.sum(self.histogram(target) * jax.nn.log_softmax(outputs), axis=-1)

    def outside(self, target: Float32[Array, "*batch"]) -> Float32[Array, "*batch"]:
        """See `ValueHead`."""
        return ((target < self.low) | (target > self.high)).astype(jnp.float32)

    def histogram(self, target: Float32[Array, "*batch"]) -> Float32[Array, "*batch K"]:
        """The probability of each bin that a target stands for."""
        width = (self.high - self.low) / self.num_bins
        inside = jnp.clip(target, self.low, self.high)[..., None]
        edges = jnp.asarray(self._edges()).reshape((1,) * target.ndim + (-1,))
        below = erf((edges - inside) / np.float32(2**0.5 * self.sigma * width))
        return (below[..., 1:] - below[..., :-1]) / (below[..., -1:] - below[..., :1])

    def _edges(self) -> np.ndarray:
        return np.linspace(self.low, self.high, self.num_bins + 1, dtype=np.float32)


def make_value_head(config: ModelConfig) -> ValueHead:
    """The head that the config names."""
    if config.value_head == "mse":
        return SquaredError()
    return HLGauss(config.value_bins, config.value_min, config.value_max, config.value_sigma)
