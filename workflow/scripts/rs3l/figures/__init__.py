"""The figures have a registry, a style, and a module for each family."""
