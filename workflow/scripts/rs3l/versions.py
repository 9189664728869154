"""One number per stage, raised when the results of that stage change.

Snakemake does not see edits of imported modules, and a cosmetic edit must not redo days of simulation.
Each stage's block (``rs3l.config.blocks``) carries its number, so that raising it re-runs that stage
and what depends on it.
"""

HARD = 3
RESIM = 5
MERGE = 3
IMPORT = 1
PRETRAIN = 4
LATENTS = 3
FINETUNE = 5
SCORE = 1
MEASURE = 1
EVALUATE = 5
FIGURES = 4
PILEUP = 1  # the pool of minimum-bias events
LHE = 2  # the index of external files
