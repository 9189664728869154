"""The figures of the report, which rs3l.figures.registry lists, each as SVG, PNG and CSV of its points."""

for figure in FIGURES.values():  # each has a rule because the file of a caption cannot depend on a wildcard

    rule:
        name:
            f"plot_{figure.name}"
        input:
            **figure_inputs(figure),
            script=script("figures.py"),
        output:
            svg=report(
                PATHS.figure(figure.pattern),
                caption=f"../scripts/rs3l/figures/captions/{figure.name}.rst",
                category=figure.category,
                subcategory=figure.subcategory,
                labels=figure.labels,
            ),
            png=PATHS.figure(figure.pattern, "png"),
            csv=PATHS.figure(figure.pattern, "csv"),
        log:
            PATHS.log("plot", figure.name, *figure.wildcards),
        benchmark:
            PATHS.benchmark("plot", figure.name, *figure.wildcards)
        group:
            "figures"
        conda:
            "../../envs/report.yaml"
        threads: 1
        resources:
            mem_mb=more(MEMORY_MB),
            runtime=more(MINUTES),
            disk_mb=more(200),
            serial=1,
        params:
            **figure_params(figure),
            figure=figure.name,
            options=figure_options(figure),
        message:
            "figure {params.figure}"
        shell:
            "python {input.script:q} --block {params.block:q} --figure {params.figure} {params.options:q} "
            "--ecm {params.energy} "
            "--svg {output.svg:q} --png {output.png:q} --csv {output.csv:q} > {log:q} 2>&1"
