"""The environments: the game itself here, and around it batches, analysis and adapters."""
