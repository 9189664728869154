"""Metrics of all classifiers, with their errors."""

EVALUATION = blocks.evaluate(CAMPAIGN)
ABLATIONS = blocks.evaluate_ablations(CAMPAIGN)


rule measure:
    """
    Measure all classifiers of one task on one run, one after the other, under every replica of the test jets.

    Wildcards: task, run.
    """
    input:
        script=script("measure.py"),
        predictions=predictions,
    output:
        measures=PATHS.measures(),
    log:
        PATHS.log("measure", "{task}", "{run}"),
    benchmark:
        PATHS.benchmark("measure", "{task}", "{run}")
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=more(1500),
        runtime=more(120),
        disk_mb=more(500),
    params:
        block=lambda wildcards: blocks.measure(CAMPAIGN, wildcards.task, wildcards.run).as_json(),
    message:
        "measures of {wildcards.task} on {wildcards.run}"
    shell:
        "python {input.script:q} --block {params.block:q} --predictions {input.predictions:q} "
        "--measures {output.measures:q} > {log:q} 2>&1"


rule evaluate:
    """
    Make the tables of metrics with errors, and the summary, from the measures of all classifiers.

    No wildcards.
    """
    input:
        script=script("evaluate.py"),
        manifest=PATHS.manifest,
        measures=downstream(PATHS.measures, EVALUATION.runs),
        histories=downstream(PATHS.histories, EVALUATION.runs),
        qualities=qualities(EVALUATION.runs),
    output:
        **{table: PATHS.evaluation(table) for table in TABLES},
        checksums=[checksum_of(PATHS.evaluation(table)) for table in TABLES],
        summary=PATHS.summary,
    log:
        PATHS.log("evaluate"),
    benchmark:
        PATHS.benchmark("evaluate")
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=more(1500),
        runtime=more(60),
        disk_mb=more(500),
    params:
        block=EVALUATION.as_json(),
        tables=lambda wildcards, output: [f"--{table}={output[table]}" for table in TABLES],
    message:
        "evaluate all classifiers"
    shell:
        "python {input.script:q} --block {params.block:q} --manifest {input.manifest:q} "
        "--measures {input.measures:q} --histories {input.histories:q} --qualities {input.qualities:q} "
        "{params.tables:q} --summary {output.summary:q} > {log:q} 2>&1"


use rule evaluate as evaluate_ablations with:
    input:
        script=script("evaluate.py"),
        manifest=PATHS.manifest,
        measures=downstream(PATHS.measures, ABLATIONS.runs),
        histories=downstream(PATHS.histories, ABLATIONS.runs),
        qualities=qualities(ABLATIONS.runs),
    output:
        **{table: PATHS.ablations(table) for table in TABLES},
        checksums=[checksum_of(PATHS.ablations(table)) for table in TABLES],
        summary=PATHS.ablations_summary,
    log:
        PATHS.log("evaluate_ablations"),
    benchmark:
        PATHS.benchmark("evaluate_ablations")
    params:
        block=ABLATIONS.as_json(),
        tables=lambda wildcards, output: [f"--{table}={output[table]}" for table in TABLES],
    message:
        "evaluate the ablations"
