"""Displacement, acceptance and response of a jet's candidates in the detector."""
