"""The typed configuration of a campaign."""

from rs3l.config.campaign import Campaign
from rs3l.config.load import load_campaign, parse_campaign

__all__ = ["Campaign", "load_campaign", "parse_campaign"]
