"""The public layout of RS3L: five HDF5 files, written and read."""
