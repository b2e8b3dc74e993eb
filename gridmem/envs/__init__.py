"""The environments: pure JAX core and its faces for other libraries."""
