"""Hard process: events of Pythia, or from external files, with all resonances decayed once."""
