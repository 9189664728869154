"""Re-simulation-based self-supervised learning (RS3L, arXiv:2403.07066).

Data flows left to right through ``physics -> data -> model -> eval``; nothing imports backwards, and
nothing here imports snakemake.
"""

__version__ = "0.1.0"
