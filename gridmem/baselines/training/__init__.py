"""A training run: its command line, loop, log and final evaluation."""
