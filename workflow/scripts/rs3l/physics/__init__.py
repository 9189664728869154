"""Hard process, shower, hadronisation, detector, jets and matching."""
