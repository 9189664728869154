"""The report of a campaign: one HTML file that works offline, and a Markdown summary."""
