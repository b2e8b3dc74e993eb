"""The actor-critic and its parts."""
