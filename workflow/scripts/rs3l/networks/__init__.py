"""The encoders, their files, and the formats that they are exported to."""

from rs3l.networks.base import JetEncoder

__all__ = ["JetEncoder"]
