"""The interfaces of other libraries: Gymnasium, PettingZoo, gymnax."""
