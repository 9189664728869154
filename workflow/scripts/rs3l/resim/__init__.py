"""Re-simulation: shower, hadronisation, detector and jets of one shard under one variant."""
