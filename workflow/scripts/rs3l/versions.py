"""One number per stage, raised when the results of that stage change.

Snakemake does not see edits of imported modules, and a cosmetic edit must not redo days of simulation.
Each stage's block (``rs3l.config.blocks``) carries its number, so that raising it re-runs that stage
and what depends on it.
"""

HARD = 2
RESIM = 4
MERGE = 2
PRETRAIN = 2
LATENTS = 1
FINETUNE = 2
EVALUATE = 2
FIGURES = 2
LHE = 2  # the index of external files
