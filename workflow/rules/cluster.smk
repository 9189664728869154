"""Messages on jobs that run elsewhere, with their resources in a dry run and what is missing to submit them."""

from rs3l.dry_run import ResourceTable, missing_slurm


def jobs_go_elsewhere():
    """Return whether this dry run is one of jobs for a cluster, for which alone Snakemake sets `use_threads`."""
    shown = workflow.output_settings.verbose or workflow.output_settings.printshellcmds
    return workflow.dryrun and workflow.execution_settings.use_threads and not shown


def submitted_threads(name):
    """Return the threads of a rule, or None if it has nothing to run."""
    found = workflow.get_rule(name)
    return None if found.norun else found.resources["_cores"].value


def asks_slurm():
    """Return whether jobs are submitted to Slurm, or in a dry run, whether a profile names its resources."""
    if not workflow.dryrun:
        return type(workflow.executor_settings).__module__ == "snakemake_executor_plugin_slurm"
    named = [*workflow.resource_settings.overwrite_resources.values(), {}]
    return any(str(name).startswith("slurm") for resources in named for name in resources)


def slurm_note():
    """Return what is missing for jobs that go to Slurm, or an empty text if nothing is or jobs do not go there."""
    return missing_slurm() if asks_slurm() else ""


if workflow.is_main_process:
    for handler in workflow.logger_manager.logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.addFilter(ResourceTable(jobs_go_elsewhere, submitted_threads, slurm_note))


onstart:
    forget_params()
    if slurm_note():
        raise WorkflowError(slurm_note())
