"""The report of the campaign, from everything that it has made."""


rule report:
    """
    Write one HTML file that works offline, and a summary in Markdown.

    No wildcards.
    """
    input:
        script=script("report.py"),
        manifest=PATHS.manifest,
        summary=PATHS.summary,
        tables=[PATHS.evaluation(table) for table in TABLES],
        figures=all_figures(),
    output:
        html=PATHS.report,
        markdown=PATHS.summary_text,
    log:
        PATHS.log("report"),
    benchmark:
        PATHS.benchmark("report")
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=more(30),
        disk_mb=more(200),
    params:
        block=CAMPAIGN.as_json(),
    message:
        "report"
    shell:
        "python {input.script:q} --block {params.block:q} "
        "--html {output.html:q} --markdown {output.markdown:q} > {log:q} 2>&1"
