"""Write and read the public layout of RS3L, which is five HDF5 files."""
