"""Metrics of all classifiers, with their errors."""

EVALUATION = blocks.evaluate(CAMPAIGN)
ABLATIONS = blocks.evaluate_ablations(CAMPAIGN)


rule evaluate:
    """
    Make the tables of metrics with errors, and the summary, from the scores of the test jets.

    No wildcards.
    """
    input:
        script=script("evaluate.py"),
        manifest=PATHS.manifest,
        predictions=predictions(EVALUATION.runs),
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
        mem_mb=more(4000),
        runtime=more(60),
        disk_mb=more(500),
    params:
        block=EVALUATION.as_json(),
        tables=lambda wildcards, output: [f"--{table}={output[table]}" for table in TABLES],
    message:
        "evaluate all classifiers"
    shell:
        "python {input.script:q} --block {params.block:q} --manifest {input.manifest:q} "
        "--predictions {input.predictions:q} --histories {input.histories:q} --qualities {input.qualities:q} "
        "{params.tables:q} --summary {output.summary:q} > {log:q} 2>&1"


use rule evaluate as evaluate_ablations with:
    input:
        script=script("evaluate.py"),
        manifest=PATHS.manifest,
        predictions=predictions(ABLATIONS.runs),
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
