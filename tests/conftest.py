"""Set up before gridmem is imported: type-checked signatures, strict JAX, a compilation cache."""

import gc
import importlib.util
import os
from pathlib import Path

import jaxtyping
import pytest

HAS_CUDA = importlib.util.find_spec("jax_cuda13_plugin") is not None
if not HAS_CUDA:
    # Most of the time goes into compiling small programs, of which this saves a quarter. Set
    # XLA_FLAGS, to nothing if you like, for the programs that users run, as .ci/run does for the
    # slow tests.
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

jaxtyping.install_import_hook("gridmem", "beartype.beartype")

import jax  # noqa: E402

MANY_MAPPINGS = 20_000
CACHE = Path(__file__).parent.parent / ".cache" / "jax"
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# The programs that tests start share the cache.
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(CACHE)
# Windows open without a display.
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
# Several processes share a GPU.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
if HAS_CUDA:
    # Muon's products, which name no precision, would be too coarse for the tests' tolerances.
    jax.config.update("jax_default_matmul_precision", "highest")


@pytest.fixture(autouse=True, scope="module")
def _room_for_programs():
    """Forgets compiled programs before there are too many.

    Each takes dozens of memory mappings, of which Linux allows a process 65,530; beyond that JAX
    crashes. What is needed again comes from the compilation cache.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MANY_MAPPINGS:
        jax.clear_caches()
        gc.collect()
