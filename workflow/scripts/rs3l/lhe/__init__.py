"""The Les Houches format: reading, writing, checks, and the way of an event into Pythia's memory."""
