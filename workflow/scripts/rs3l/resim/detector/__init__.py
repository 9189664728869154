"""Detector: displacement, acceptance and response of a jet's candidates."""
