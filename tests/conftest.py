"""Set up before gridmem is imported: type-checked signatures, strict JAX, a compilation cache."""

import os
from pathlib import Path

import jaxtyping

jaxtyping.install_import_hook("gridmem", "beartype.beartype")

import jax  # noqa: E402

CACHE = Path(__file__).parent.parent / ".cache" / "jax"
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# The programs that tests start share the cache.
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(CACHE)
