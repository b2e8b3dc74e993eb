"""What episodes tell: shortest paths, metrics, scores, stored levels."""
