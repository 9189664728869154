"""The classifiers on frozen or fine-tuned encoders, and the baselines without an encoder."""
