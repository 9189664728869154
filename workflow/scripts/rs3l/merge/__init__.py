"""Merge the jets of all variants, matched by position, into one data set."""
