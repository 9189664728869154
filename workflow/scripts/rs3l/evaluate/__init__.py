"""Evaluation: metrics with bootstrap errors, robustness, tables and the summary."""
