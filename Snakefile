"""rs3l-campaign: simulate a hard collision once, re-simulate it many times, learn what stays the same.

The stages are hard process -> re-simulation -> merge -> pre-training -> embedding, fine-tuning -> evaluation ->
figures -> report. The aggregate targets are `snakemake hard`, `resim`, `dataset`, `models` and `evaluation`.
A campaign with `source` has jets from files in place of the first two. The target `ablations` is separate because its
trainings are no part of the campaign.
"""

from snakemake.utils import min_version

min_version("9.27")

if not hasattr(workflow.current_basedir, "__fspath__"):
    raise WorkflowError(
        "the rules of this workflow start scripts and use a package of its repository, so that it cannot be taken from "
        "an address: clone the repository, install it (`pip install .`), and name the clone's workflow/Snakefile "
        "(docs/api.md)"
    )


# A campaign given by --configfile replaces the default one, because merging the two would mix their processes.
if not workflow.overwrite_configfiles:

    configfile: f"{workflow.current_basedir}/config/config.yaml"


# This image is for `--sdm apptainer`, and docs/environments.md says how to build it. Its path is relative to the
# working directory because Snakemake refuses an image whose path has a space, whether it is used or not.
container: "envs/rs3l.sif"


include: "workflow/rules/common.smk"
include: "workflow/rules/reruns.smk"
include: "workflow/rules/cluster.smk"


if CAMPAIGN.source:

    include: "workflow/rules/import.smk"

else:

    include: "workflow/rules/hard.smk"
    include: "workflow/rules/pileup.smk"
    include: "workflow/rules/resim.smk"
    include: "workflow/rules/merge.smk"


include: "workflow/rules/pretrain.smk"
include: "workflow/rules/embed.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/overview.rst"


rule all:
    """Make everything, which is the data set, the trained models, the tables, the figures and the report."""
    default_target: True
    input:
        dataset_files(),
        PATHS.summary,
        all_figures(),
        PATHS.report,
    localrule: True


if not CAMPAIGN.source:

    rule hard:
        """Make all shards of hard events."""
        input:
            hard_shards,
        localrule: True

    rule resim:
        """Make all jets of all variants."""
        input:
            jet_shards,
        localrule: True


rule dataset:
    """Make the matched data set."""
    input:
        dataset_files(),
    localrule: True


rule models:
    """Make all pre-trained models."""
    input:
        [PATHS.model(run) for run in trained_runs(blocks.runs(CAMPAIGN))],
    localrule: True


rule evaluation:
    """Make all tables of the evaluation and the summary."""
    input:
        PATHS.summary,
    localrule: True


rule ablations:
    """Make the models, classifiers and tables of the ablations."""
    input:
        ablation_tables,
    localrule: True
