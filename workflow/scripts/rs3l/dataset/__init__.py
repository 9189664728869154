"""The data set that the merge writes and all later stages read."""
