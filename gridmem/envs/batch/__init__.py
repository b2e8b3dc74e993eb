"""Batches of environments: policies, rollouts, automatic resets."""
