"""The matched data set."""


rule merge:
    """
    Zip the variants of every hard event into the data set.

    No wildcards. One job has Dask workers inside it or, with the resource `dask_jobs`, as Slurm jobs of their own.
    """
    input:
        script=script("merge.py"),
        jets=jet_shards,
    output:
        splits=[directory(PATHS.split(split)) for split in CAMPAIGN.dataset.splits.names],
        manifest=PATHS.manifest,
        card=PATHS.card,
        provenance=PATHS.merge_provenance,
    log:
        PATHS.log("merge"),
    benchmark:
        PATHS.benchmark("merge")
    conda:
        "../../envs/merge.yaml"
    threads: 2
    resources:
        mem_mb=more(4000),
        runtime=more(120),
        disk_mb=more(2000),
    params:
        block=blocks.merge(CAMPAIGN).as_json(),
        root=lambda wildcards, output: str(Path(output.manifest).parents[1]),
        workers=merge_workers,
    message:
        "merge all variants into the data set"
    shell:
        "python {input.script:q} --block {params.block:q} --root {params.root:q} {params.workers} > {log:q} 2>&1"
