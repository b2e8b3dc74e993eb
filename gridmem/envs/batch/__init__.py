"""Many environments at a time: policies, rollouts, automatic resets."""
