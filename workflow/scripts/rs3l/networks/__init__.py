"""Encoders, their files, and what they are exported to."""

from rs3l.networks.base import JetEncoder

__all__ = ["JetEncoder"]
