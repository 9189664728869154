"""Latents of the test jets, and what they know."""
