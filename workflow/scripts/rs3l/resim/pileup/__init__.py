"""Pile-up: a pool of minimum-bias events, what each event draws of it, and its subtraction."""
