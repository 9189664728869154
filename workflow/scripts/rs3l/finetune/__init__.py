"""Classifiers on frozen or fine-tuned encoders, and the baselines without one."""
