"""Analysis of episodes: shortest paths, metrics, scores, stored levels."""
