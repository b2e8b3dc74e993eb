"""The environments; in the folders batches, analysis and adapters."""
