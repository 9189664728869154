"""The report of a campaign is one HTML file that works offline, with a Markdown summary."""
