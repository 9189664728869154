"""Re-simulation of the shower, hadronisation, detector and jets of one shard under one variant."""
