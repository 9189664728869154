"""Make a data set of jets that were not simulated here: arrays, Parquet files, ROOT files."""
