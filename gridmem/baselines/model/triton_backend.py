"""What all Triton kernels need."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp

# Its successor, Mosaic GPU, has no products of so few rows.
warnings.filterwarnings("ignore", "The Pallas Triton backend is deprecated", DeprecationWarning)


def backend_refusal(dtype: Any) -> str | None:
    """Why no kernel can run with that dtype on a CUDA device that can run cuDNN's attention."""
    if dtype != jnp.bfloat16:
        return f"the model has dtype {jnp.dtype(dtype).name}, not bfloat16"
    try:
        from jax.experimental.pallas import triton  # noqa: F401
    except Exception:  # it is deprecated, and may be gone in any way
        return f"JAX {jax.__version__} has no Triton kernels"
    return None
