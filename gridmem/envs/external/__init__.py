"""Environments of other packages behind the protocol `Environment`, each with its extra."""
