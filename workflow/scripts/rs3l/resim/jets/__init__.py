"""Clustering and substructure of jets, and their matching to the anchor of the hard event."""
