"""Contrastive pre-training: views, losses, loop."""
