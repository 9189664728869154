"""rs3l-campaign: simulate a hard collision once, re-simulate it many times, learn what stays the same.

Stages: hard process -> re-simulation -> merge -> pre-training, fine-tuning, evaluation -> report.
Each has an aggregate target of its name: `snakemake hard`, `resim`, `dataset`, `models`, `evaluation`.
"""

from snakemake.utils import min_version

min_version("9.27")


# A campaign given by --configfile replaces the default one; merged, the two would mix their processes.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/hard.smk"
include: "workflow/rules/resim.smk"
include: "workflow/rules/merge.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/overview.rst"


rule all:
    """Everything: the data set, the trained models, the tables and the figures."""
    default_target: True
    localrule: True
    input:
        dataset_files(),
        PATHS.summary,
        all_figures(),


rule hard:
    """All shards of hard events."""
    localrule: True
    input:
        hard_shards(),


rule resim:
    """All jets of all variants."""
    localrule: True
    input:
        jet_shards(),


rule dataset:
    """The matched data set."""
    localrule: True
    input:
        dataset_files(),


rule models:
    """All pre-trained models."""
    localrule: True
    input:
        [PATHS.model(run) for run in blocks.runs(CAMPAIGN)],


rule evaluation:
    """All tables of the evaluation and the summary."""
    localrule: True
    input:
        PATHS.summary,
