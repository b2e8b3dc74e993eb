"""The reference agent: an on-policy transformer trained by PPO on whole episodes."""
