"""Re-simulation-based self-supervised learning (RS3L, arXiv:2403.07066).

Data flows ``hard -> resim -> merge -> pretrain / embed / finetune -> evaluate -> figures -> report``, a package
per stage. Between them stand shared ones (``lhe``, ``dataset``, ``hdf5``, ``networks``, ``training``), below them
modules on the ground floor. Nothing imports backwards, and nothing here imports snakemake.
"""

__version__ = "0.1.0"
