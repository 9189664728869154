"""Tables: schemas, merge, loader, features."""
