"""Re-simulation by other generators: a command, its HepMC records, and what becomes of them."""
