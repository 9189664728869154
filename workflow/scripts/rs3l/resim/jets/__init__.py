"""Jets: clustering, substructure, and matching to the anchor of the hard event."""
