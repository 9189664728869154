"""The latents of the test jets, and what they contain."""
