"""Encoders, loss, training."""
