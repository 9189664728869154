"""The data set of a campaign whose jets exist already: one job per file, then a small one; or links to one."""

if CAMPAIGN.source.patterns:

    rule import_file:
        """
        Import one file of jets into a part of every split and process.

        Wildcards: part (the number of the file). What is imported stays, whatever happens to other files.
        """
        input:
            script=script("import_file.py"),
            file=source_file,
        output:
            parts=[
                PATHS.part(split=split, process=name)
                for split in CAMPAIGN.dataset.splits.names
                for name in CAMPAIGN.processes
            ],
            entry=PATHS.imported(),
        log:
            PATHS.log("import_file", "{part}"),
        benchmark:
            PATHS.benchmark("import_file", "{part}")
        conda:
            "../../envs/merge.yaml"
        threads: 1
        resources:
            mem_mb=more(1500),
            runtime=more(240),
            disk_mb=more(2000),
        params:
            block=blocks.import_file(CAMPAIGN).as_json(),
            root=lambda wildcards, output: str(Path(output.entry).parents[1]),
        message:
            "import {input.file}"
        shell:
            "python {input.script:q} --block {params.block:q} --file {input.file:q} --root {params.root:q} "
            "> {log:q} 2>&1"


rule import_dataset:
    """
    Make the data set of all imported files, or of links to one that lies elsewhere: manifest, card, digests.

    No wildcards.
    """
    input:
        script=script("import_dataset.py"),
        sources=imported_sources,
        parts=imported_parts,
    output:
        manifest=PATHS.manifest,
        card=PATHS.card,
        provenance=PATHS.merge_provenance,
    log:
        PATHS.log("import_dataset"),
    benchmark:
        PATHS.benchmark("import_dataset")
    conda:
        "../../envs/merge.yaml"
    threads: 1
    resources:
        mem_mb=more(1500),
        runtime=more(60),
        disk_mb=more(100),
    params:
        block=blocks.import_dataset(CAMPAIGN).as_json(),
        root=lambda wildcards, output: str(Path(output.manifest).parents[1]),
        option="--entries" if CAMPAIGN.source.patterns else "--adopt",
    message:
        "make the data set of the files"
    shell:
        "python {input.script:q} --block {params.block:q} --root {params.root:q} "
        "{params.option:q} {input.sources:q} > {log:q} 2>&1"
