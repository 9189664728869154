"""Re-simulation-based self-supervised learning (RS3L, arXiv:2403.07066).

Data flows ``hard -> resim -> merge -> pretrain / embed / finetune -> evaluate -> figures -> report``, with a
package per stage. Shared packages (``lhe``, ``dataset``, ``hdf5``, ``networks``, ``training``) stand between them,
and modules on the ground floor stand below them. Nothing imports backwards, and nothing here imports snakemake.
"""

__version__ = "0.2.0"
