"""Merge: the jets of all variants, matched by position, as one data set."""
