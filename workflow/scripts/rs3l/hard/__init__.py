"""Hard processes from Pythia or from external files, with all resonances decayed once."""
