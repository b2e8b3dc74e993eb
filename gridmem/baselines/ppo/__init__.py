"""Proximal policy optimisation: rollout, targets, loss, update."""
