"""Read, write and check events in the Les Houches format, and hand them to Pythia in memory."""
