"""What runs again: two things that Snakemake leaves out where inputs are ancient. Tests in tests/dag hold both."""

from snakemake.dag import DAG


class NotAncient:
    """The jobs that depend on a job, but for those that do so by ancient files alone."""

    def __init__(self, depending):
        self.depending = depending

    def __getitem__(self, job):
        jobs = self.depending[job].items()
        return {other: files for other, files in jobs if not all(file.is_ancient for file in files)}


def heed_ancient(update):
    """
    Let Snakemake look for other reasons to run a job whose only inputs that are made again are ancient.

    It takes a job below one that runs for one that runs as well, and so does not look at its settings, but then
    leaves it out because the input is ancient.
    """

    async def update_needrun(self, *arguments, **options):
        search = self.bfs

        def bfs(direction, *jobs, **conditions):
            return search(
                NotAncient(direction) if direction is self.depending else direction, *jobs, **conditions
            )

        self.bfs = bfs
        try:
            return await update(self, *arguments, **options)
        finally:
            del self.bfs

    update_needrun.heeds_ancient = True
    return update_needrun


if not hasattr(DAG.update_needrun, "heeds_ancient"):
    DAG.update_needrun = heed_ancient(DAG.update_needrun)


def forget_params():
    """
    Let Snakemake compute anew, when a job has ended, the params that it records.

    Otherwise it would record those of the plan, with the checksums of the data set before this run's merge, and
    train once more the next time.
    """
    cached = getattr(workflow.persistence, "_params", None)
    if hasattr(cached, "cache_clear"):
        cached.cache_clear()
