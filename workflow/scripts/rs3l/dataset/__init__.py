"""The data set: what the merge writes and all later stages read."""
