"""The views, losses and training loop of contrastive pre-training."""
