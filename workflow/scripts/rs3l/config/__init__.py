"""Typed configuration."""

from rs3l.config.load import load_campaign, parse_campaign
from rs3l.config.models import Campaign

__all__ = ["Campaign", "load_campaign", "parse_campaign"]
