"""Pictures of GridMem worlds."""
