"""Re-simulation by other generators, from their command and its HepMC records to particles."""
