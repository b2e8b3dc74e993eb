"""Off-policy methods: TD3, SAC and the accelerator."""
