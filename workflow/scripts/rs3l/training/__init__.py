"""What pre-training and fine-tuning share: ranks, precision, checkpoints, stops and live metrics."""
