"""rs3l-campaign: simulate a hard collision once, re-simulate it many times, learn what stays the same.

Stages: hard process -> re-simulation -> merge -> pre-training, fine-tuning, evaluation -> report.
Each has an aggregate target of its name: `snakemake hard`, `resim`, `dataset`, `models`, `evaluation`.
"""

from snakemake.utils import min_version

min_version("9.27")


# A campaign given by --configfile replaces the default one; merged, the two would mix their processes.
if not workflow.overwrite_configfiles:

    configfile: f"{workflow.basedir}/config/config.yaml"


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
    input:
        dataset_files(),
        PATHS.summary,
        all_figures(),
    localrule: True


rule hard:
    input:
        hard_shards(),
    """All shards of hard events."""
    localrule: True


rule resim:
    input:
        jet_shards(),
    """All jets of all variants."""
    localrule: True


rule dataset:
    input:
        dataset_files(),
    """The matched data set."""
    localrule: True


rule models:
    input:
        [PATHS.model(run) for run in blocks.runs(CAMPAIGN)],
    """All pre-trained models."""
    localrule: True


rule evaluation:
    input:
        PATHS.summary,
    """All tables of the evaluation and the summary."""
    localrule: True
