"""Metrics, bootstrap, figures."""
