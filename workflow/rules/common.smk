"""Configuration, paths and the lists of files that the rules share."""

import gc
import shlex
import sys
from functools import cache
from pathlib import Path

SCRIPTS = (Path(workflow.current_basedir) / ".." / "scripts").resolve()

# The graph of 10^5 jobs has millions of objects, which live as long as Snakemake. Searching them for garbage again
# and again would take a tenth of the time of planning.
gc.set_threshold(100_000, 1_000, 1_000)

try:
    from rs3l import versions
except ModuleNotFoundError as error:
    raise WorkflowError(
        f"the package of this workflow cannot be imported ({error}): `make venv` installs it with all that it needs, "
        f"`pip install {SCRIPTS.parents[1]}` into an environment of your own"
    ) from None

from rs3l.config import blocks, methods, parse_campaign, reads, source_files
from rs3l.config.capacity import check_capacity
from rs3l.config.yaml_file import check_files
from rs3l.dataset.digests import data_read
from rs3l.errors import CampaignError
from rs3l.evaluate.registry import TABLES
from rs3l.figures.registry import FIGURES, MEMORY_MB, MINUTES, QUOTES, figure_names, input_files, lacking
from rs3l.groups import prediction_files
from rs3l.imported import not_found
from rs3l.lhe.inputs import check_inputs, find_files, refuse_replaced, split_inputs, stamps
from rs3l.paths import CampaignPaths, checksum_of, shard_name
from rs3l.provenance import check_package
from rs3l.pythia import check_settings
from rs3l.runs import is_baseline

try:
    if workflow.is_main_process:
        check_package(SCRIPTS / "rs3l")
        check_files(workflow.configfiles)
    CAMPAIGN = parse_campaign(config)
    if workflow.is_main_process:
        check_capacity(CAMPAIGN)
        check_inputs(CAMPAIGN)
        if not CAMPAIGN.source:
            check_settings(CAMPAIGN)
except CampaignError as error:
    raise WorkflowError(str(error)) from None

if workflow.is_main_process:
    for path in not_found(methods.own_parts(CAMPAIGN)):
        sys.stderr.write(
            f"warning: {path}: its package is not installed here; the trainings need it in their environment "
            "(docs/extend.md)\n"
        )

PATHS = CampaignPaths(CAMPAIGN.root)


@cache
def lhe_paths(process):
    """Return the external files of a process that can be inputs, and those whose names would be wildcards."""
    try:
        files = find_files(process, CAMPAIGN.processes[process].lhe_patterns)
        refuse_replaced(process, PATHS.lhe_index(process), files)
    except CampaignError as error:
        raise WorkflowError(str(error)) from None
    return split_inputs(files)


# Inputs alone would not be checked, because Snakemake does without them where the index exists.
if workflow.is_main_process:
    for name in CAMPAIGN.processes:
        lhe_paths(name)


wildcard_constraints:
    process="|".join(CAMPAIGN.processes),
    variant="|".join(CAMPAIGN.variants),
    task="|".join(CAMPAIGN.tasks),
    run="|".join(blocks.every_run(CAMPAIGN)),
    shard=r"[0-9]+",
    part=r"[0-9]+",
    group=r"[0-9]+",


def script(name):
    """Return a script's path, which is an input of its rule, so that an edit of the script re-runs it."""
    return str(SCRIPTS / name)


def more(base):
    """Return a resource that grows with each attempt."""
    return lambda wildcards, attempt: base * attempt


def launcher(wildcards, threads, resources):
    """
    Return the command that starts a training.

    It is python, torchrun for the ranks of one node, or srun for the tasks of Slurm. Only a profile sets these
    resources, and what a function of params derives from them re-runs nothing.
    """
    if resources.get("mpi"):
        nodes = f"--nodes={resources.nodes} " if resources.get("nodes") else ""
        tasks = f"{nodes}--ntasks={resources.tasks} --cpus-per-task={threads}"
        return f"{resources.mpi} {tasks} --kill-on-bad-exit=1 python"
    ranks = resources.get("gpu") or resources.get("tasks") or 1
    torchrun = f"python -m torch.distributed.run --standalone --nproc-per-node={ranks}"
    return torchrun if ranks > 1 else "python"


def devices(wildcards, resources):
    """
    Return the options that say what a training must find: as many GPUs as the resource `gpu` says.

    The resource `device=cpu` says that the CPU is meant all the same, e.g. to try a profile that only declares GPUs.
    """
    gpus = f"--gpus {resources.gpu} " if resources.get("gpu") else ""
    return gpus + (f"--device {shlex.quote(str(resources.device))} " if resources.get("device") else "")


def on_collapse(wildcards, threads):
    """
    Return what a collapse does.

    Snakemake does not count a function that also asks for the threads as a setting, so a change re-runs nothing.
    """
    return blocks.on_collapse(CAMPAIGN, wildcards.run)


def check_every(wildcards, threads):
    """Return after how many steps a pre-training looks at its losses; a change re-runs nothing either."""
    return blocks.check_every(CAMPAIGN, wildcards.run)


def on_undertrained(wildcards, threads):
    """Return what an under-trained classifier does; a change re-runs nothing either."""
    return blocks.on_undertrained(CAMPAIGN, wildcards.run)


def data_of(what):
    """
    Return the function of params for the data that a job reads, as a function of its wildcards (rs3l.config.reads).

    Such a job takes `manifest=ancient(PATHS.manifest)`, so that a merge runs it again only if what it reads is
    made with other settings, or has other contents. The function does not ask for the input: Snakemake would not
    count it as a setting.
    """
    return lambda wildcards: data_read(CAMPAIGN, what(wildcards))


def merge_workers(wildcards, threads, resources):
    """
    Return the options for the workers of the merge.

    They are processes in its own job, or Slurm jobs as large as it if a profile asks for them.
    """
    if resources.get("dask_jobs"):
        return f"--jobs {resources.dask_jobs} --memory {resources.mem_mb} --minutes {resources.runtime}"
    return f"--workers {threads}"


def lhe_files(wildcards):
    """Return the external files of a process that can be inputs."""
    return lhe_paths(wildcards.process)[0]


def lhe_stamps(wildcards):
    """Return the size and the time of the other external files of a process."""
    return stamps(lhe_paths(wildcards.process)[1])


def lhe_index(wildcards):
    """Return the index of a process with external files, or nothing for a process of Pythia."""
    return PATHS.lhe_index(wildcards.process) if CAMPAIGN.processes[wildcards.process].lhe_patterns else []


@cache
def resim_block(process, variant):
    """Return what the re-simulation of every shard of a process under a variant depends on, as JSON."""
    try:
        return blocks.resim(CAMPAIGN, process, variant).as_json()
    except CampaignError as error:
        raise WorkflowError(str(error)) from None


@cache
def together_block(process):
    """Return what the re-simulation of every shard of a process under the variants of one shower depends on, as JSON."""
    return blocks.together(CAMPAIGN, process).as_json()


def own_variants():
    """Return the pattern of the variants that have a job of their own, which matches nothing if none has."""
    return "|".join(blocks.own_variants(CAMPAIGN)) or "(?!)"


POOL = [PATHS.pool(shard_name(shard)) for shard in blocks.pool_shards(CAMPAIGN)]
"""The files of the pool of minimum-bias events, or none if no variant has pile-up."""

POOL_OPTION = "--pileup {input.pileup:q} " if POOL else ""
"""The option that names them, which is left out without pile-up, so that the command is what it was."""


def pool_files(wildcards):
    """Return the files of the pool for a variant that has pile-up."""
    return POOL if CAMPAIGN.pileup_of(wildcards.variant).mean else []


def shared_jets():
    """Return the patterns of the jets that one job makes, under all variants that share a shower."""
    return [PATHS.jets(variant=variant) for variant in blocks.shared_variants(CAMPAIGN)]


def hard_shards(wildcards):
    """
    Return all shards of hard events.

    This is a function so that the list is made only where it is needed, and not in each job of a cluster.
    """
    return [
        PATHS.hard(process, shard_name(shard))
        for process in CAMPAIGN.processes
        for shard in blocks.shards(CAMPAIGN, process)
    ]


def jet_shards(wildcards):
    """Return the jets of all shards under all variants."""
    return [
        PATHS.jets(process, variant, shard_name(shard))
        for process in CAMPAIGN.processes
        for variant in CAMPAIGN.variants
        for shard in blocks.shards(CAMPAIGN, process)
    ]


def dataset_files():
    """Return the folders of the data set (those of a merge), its manifest and its card."""
    folders = [] if CAMPAIGN.source else map(PATHS.split, CAMPAIGN.dataset.splits.names)
    return [*folders, PATHS.manifest, PATHS.card, PATHS.merge_provenance]


@cache
def source_paths():
    """Return the files of jets of a campaign by the name of their parts."""
    files = source_files.hdf5_files(CAMPAIGN.source)
    return {shard_name(source_files.file_number(path)): str(path) for path in files}


def source_file(wildcards):
    """Return the file of jets that becomes a part; raise an error for a part of no file."""
    if wildcards.part not in source_paths():
        raise WorkflowError(f"source.hdf5: no file has the number {wildcards.part}")
    return source_paths()[wildcards.part]


def imported_sources(wildcards):
    """Return what the data set is made of: an entry of each file, or the manifest of a data set elsewhere."""
    if CAMPAIGN.source.patterns:
        return [PATHS.imported(part) for part in source_paths()]
    return str(source_files.manifest_path(CAMPAIGN.source))


def imported_parts(wildcards):
    """Return the parts of all imported files."""
    if not CAMPAIGN.source.patterns:
        return []
    return [
        PATHS.part(split, name, part)
        for part in source_paths()
        for split in CAMPAIGN.dataset.splits.names
        for name in CAMPAIGN.processes
    ]


def trained_runs(runs):
    """Return those of some runs that are pre-trained here; a given model needs no training."""
    return [run for run in runs if blocks.imported_model(CAMPAIGN, run) is None]


def model_file(run):
    """Return the model of a run, either pre-trained here or given by the configuration."""
    return blocks.imported_model(CAMPAIGN, run) or PATHS.model(run)


def parts_of_group(wildcards):
    """Return the first part of a group and the end of it."""
    parts = blocks.group_parts(CAMPAIGN, wildcards.process, int(wildcards.group))
    return f"{parts.start} {parts.stop}"


def group_data(wildcards):
    """Return what a job reads that takes the test jets of a group of parts."""
    parts = blocks.group_parts(CAMPAIGN, wildcards.process, int(wildcards.group))
    return reads.of_test(CAMPAIGN, wildcards.process, parts)


def finetune_model(wildcards):
    """Return the model that a task starts from, or nothing for the baselines."""
    return [] if is_baseline(wildcards.run) else model_file(wildcards.run)


def downstream(pattern, runs):
    """Return the files of all tasks and of some runs."""
    return [pattern(task, run) for task in CAMPAIGN.tasks for run in runs]


def predictions(wildcards):
    """Return the files of the scores of a task by the classifiers of a run."""
    return prediction_files(CAMPAIGN, PATHS, wildcards.task, wildcards.run)


def qualities(runs):
    """Return the files of the latent quality for those of some runs that are pre-trained."""
    return [PATHS.latent_quality(run) for run in runs if not is_baseline(run)]


def ablation_tables(wildcards):
    """Return the tables of the ablations, if the configuration has some."""
    if not CAMPAIGN.ablations:
        return []
    return [*map(PATHS.ablations, TABLES), PATHS.ablations_summary, PATHS.figure("ablations")]


def figure_inputs(figure):
    """Return the files that a kind of figure waits for, by the name of the input."""
    return {name: input_files(name, CAMPAIGN, PATHS) for name in (*figure.inputs, *figure.after)}


def figure_options(figure):
    """Return what tells the script which figure of this kind to draw, and from what."""

    def options(wildcards, input):
        words = [f"--{figure.of}", wildcards[figure.of]] if figure.wildcards else []
        for name in figure.inputs:
            words += ["--input", name, *input[name]]
        for name in figure.folders:
            words += ["--input", name, *input_files(name, CAMPAIGN, PATHS)]
        return words

    return options


def figure_params(figure):
    """Return what a kind of figure depends on besides its inputs, which is its block and what its caption quotes."""
    quoted = {name: QUOTES[name](CAMPAIGN) for name in ("energy", *figure.quotes)}
    return {"block": blocks.figures(CAMPAIGN, of_data=figure.shows_data).as_json(), **quoted}


def all_figures():
    """Return the SVG of every figure; the PNG and the CSV come with it."""
    return [
        PATHS.figure(name)
        for name in figure_names(CAMPAIGN.processes, CAMPAIGN.tasks, missing=lacking(CAMPAIGN))
    ]
