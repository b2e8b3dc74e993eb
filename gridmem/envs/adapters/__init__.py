"""Adapters to the interfaces of Gymnasium, PettingZoo and gymnax."""
