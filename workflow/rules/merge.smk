"""Stage 3: the matched data set."""


rule merge:
    """
    Zip the variants of every hard event into the data set.

    No wildcards: one job, with Dask workers inside it.
    """
    input:
        script=script("merge.py"),
        jets=jet_shards(),
    output:
        parts=dataset_parts(),
        manifest=PATHS.manifest,
        card=PATHS.card,
        provenance=PATHS.merge_provenance,
    params:
        block=blocks.merge(CAMPAIGN).model_dump_json(),
        root=PATHS.root,
    log:
        PATHS.log("merge"),
    benchmark:
        PATHS.benchmark("merge")
    threads: 2
    resources:
        mem_mb=more(4000),
        runtime=more(120),
        disk_mb=more(2000),
    conda:
        "../../envs/merge.yaml"
    message:
        "merge all variants into the data set"
    shell:
        "python {input.script:q} --block {params.block:q} --root {params.root:q} --workers {threads} > {log:q} 2>&1"
