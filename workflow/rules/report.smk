"""Stage 7: the figures of the report, each as SVG, PNG and CSV of its points."""

ENERGY = f"{CAMPAIGN.generator.ecm:g}"


# Params beside the block are what the captions quote.


for figure in DATASET_FIGURES:  # a rule each: a caption's file cannot depend on a wildcard

    rule:
        name:
            f"plot_{figure}"
        input:
            script=script("figure.py"),
            manifest=PATHS.manifest,
        output:
            svg=report(
                PATHS.figure(figure),
                caption=f"../report/{figure}.rst",
                category="1. Data set",
                subcategory="Re-simulation",
                labels={"figure": figure},
            ),
            png=PATHS.figure(figure, "png"),
            csv=PATHS.figure(figure, "csv"),
        log:
            PATHS.log("plot", figure),
        benchmark:
            PATHS.benchmark("plot", figure)
        conda:
            "../../envs/report.yaml"
        threads: 1
        resources:
            mem_mb=more(2000),
            runtime=more(30),
            disk_mb=more(200),
        params:
            figure=figure,
            block=data_figures_block(),
            energy=ENERGY,
            jets=CAMPAIGN.jets.model_dump(),
        message:
            "figure {params.figure}"
        shell:
            "python {input.script:q} --block {params.block:q} --figure {params.figure} "
            "--manifest {input.manifest:q} --ecm {params.energy} "
            "--svg {output.svg:q} --png {output.png:q} --csv {output.csv:q} > {log:q} 2>&1"


for figure in CONFIG_FIGURES:

    rule:
        name:
            f"plot_{figure}"
        input:
            script=script("figure.py"),
        output:
            svg=report(
                PATHS.figure(figure),
                caption=f"../report/{figure}.rst",
                category="1. Data set",
                subcategory="Intervention",
                labels={"figure": figure},
            ),
            png=PATHS.figure(figure, "png"),
            csv=PATHS.figure(figure, "csv"),
        log:
            PATHS.log("plot", figure),
        benchmark:
            PATHS.benchmark("plot", figure)
        conda:
            "../../envs/report.yaml"
        threads: 1
        resources:
            mem_mb=more(1000),
            runtime=more(30),
            disk_mb=more(200),
        params:
            figure=figure,
            block=data_figures_block(),
            energy=ENERGY,
        message:
            "figure {params.figure}"
        shell:
            "python {input.script:q} --block {params.block:q} --figure {params.figure} --ecm {params.energy} "
            "--svg {output.svg:q} --png {output.png:q} --csv {output.csv:q} > {log:q} 2>&1"


for figure in PROCESS_FIGURES:

    rule:
        name:
            f"plot_{figure}"
        input:
            script=script("figure.py"),
            manifest=PATHS.manifest,
        output:
            svg=report(
                PATHS.figure(f"{figure}_{{process}}"),
                caption=f"../report/{figure}.rst",
                category="1. Data set",
                subcategory="Re-simulation",
                labels={"figure": figure, "process": "{process}"},
            ),
            png=PATHS.figure(f"{figure}_{{process}}", "png"),
            csv=PATHS.figure(f"{figure}_{{process}}", "csv"),
        log:
            PATHS.log("plot", figure, "{process}"),
        benchmark:
            PATHS.benchmark("plot", figure, "{process}")
        conda:
            "../../envs/report.yaml"
        threads: 1
        resources:
            mem_mb=more(2000),
            runtime=more(30),
            disk_mb=more(200),
        params:
            figure=figure,
            block=data_figures_block(),
            energy=ENERGY,
            jets=CAMPAIGN.jets.model_dump(),
        message:
            "figure {params.figure} of {wildcards.process}"
        shell:
            "python {input.script:q} --block {params.block:q} --figure {params.figure} --process {wildcards.process} "
            "--manifest {input.manifest:q} "
            "--ecm {params.energy} "
            "--svg {output.svg:q} --png {output.png:q} --csv {output.csv:q} > {log:q} 2>&1"


for figure in METRICS_FIGURES:

    rule:
        name:
            f"plot_{figure}"
        input:
            script=script("figure.py"),
            metrics=[PATHS.model_metrics(run) for run in trained_runs(blocks.runs(CAMPAIGN))],
        output:
            svg=report(
                PATHS.figure(figure),
                caption=f"../report/{figure}.rst",
                category="2. Pre-training",
                subcategory="Training",
                labels={"figure": figure},
            ),
            png=PATHS.figure(figure, "png"),
            csv=PATHS.figure(figure, "csv"),
        log:
            PATHS.log("plot", figure),
        benchmark:
            PATHS.benchmark("plot", figure)
        conda:
            "../../envs/report.yaml"
        threads: 1
        resources:
            mem_mb=more(1000),
            runtime=more(30),
            disk_mb=more(200),
        params:
            figure=figure,
            block=figures_block(),
            energy=ENERGY,
            loss=losses_text(CAMPAIGN),
        message:
            "figure {params.figure}"
        shell:
            "python {input.script:q} --block {params.block:q} --figure {params.figure} "
            "--training {input.metrics:q} "
            "--ecm {params.energy} "
            "--svg {output.svg:q} --png {output.png:q} --csv {output.csv:q} > {log:q} 2>&1"


rule plot_latent:
    """
    Latent space of the first run of each pre-training method.

    No wildcards.
    """
    input:
        script=script("figure.py"),
        latents=[PATHS.latents(f"{method}_s0") for method in methods.methods(CAMPAIGN)],
    output:
        svg=report(
            PATHS.figure("latent"),
            caption="../report/latent.rst",
            category="2. Pre-training",
            subcategory="Latent space",
            labels={"figure": "latent"},
        ),
        png=PATHS.figure("latent", "png"),
        csv=PATHS.figure("latent", "csv"),
    log:
        PATHS.log("plot", "latent"),
    benchmark:
        PATHS.benchmark("plot", "latent")
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=more(30),
        disk_mb=more(200),
    params:
        block=figures_block(),
        energy=ENERGY,
    message:
        "figure latent"
    shell:
        "python {input.script:q} --block {params.block:q} --figure latent "
        "--latents {input.latents:q} --ecm {params.energy} "
        "--svg {output.svg:q} --png {output.png:q} --csv {output.csv:q} > {log:q} 2>&1"


for figure in FIRST_RUN_FIGURES:

    rule:
        name:
            f"plot_{figure}"
        input:
            script=script("figure.py"),
            latents=PATHS.latents(blocks.runs(CAMPAIGN)[0]),
        output:
            svg=report(
                PATHS.figure(figure),
                caption=f"../report/{figure}.rst",
                category="2. Pre-training",
                subcategory="Latent space",
                labels={"figure": figure},
            ),
            png=PATHS.figure(figure, "png"),
            csv=PATHS.figure(figure, "csv"),
        log:
            PATHS.log("plot", figure),
        benchmark:
            PATHS.benchmark("plot", figure)
        conda:
            "../../envs/report.yaml"
        threads: 1
        resources:
            mem_mb=more(2000),
            runtime=more(30),
            disk_mb=more(200),
        params:
            figure=figure,
            block=figures_block(),
            energy=ENERGY,
            run=blocks.runs(CAMPAIGN)[0],
        message:
            "figure {params.figure}"
        shell:
            "python {input.script:q} --block {params.block:q} --figure {params.figure} "
            "--latents {input.latents:q} "
            "--ecm {params.energy} "
            "--svg {output.svg:q} --png {output.png:q} --csv {output.csv:q} > {log:q} 2>&1"


for figure in SCORE_FIGURES:

    rule:
        name:
            f"plot_{figure}"
        input:
            script=script("figure.py"),
            predictions=[
                PATHS.predictions(run=run) for run in [*blocks.runs(CAMPAIGN), *blocks.baselines(CAMPAIGN)]
            ],
        output:
            svg=report(
                PATHS.figure(f"{figure}_{{task}}"),
                caption=f"../report/{figure}.rst",
                category="3. Results",
                subcategory="{task}",
                labels={"figure": figure, "task": "{task}"},
            ),
            png=PATHS.figure(f"{figure}_{{task}}", "png"),
            csv=PATHS.figure(f"{figure}_{{task}}", "csv"),
        log:
            PATHS.log("plot", figure, "{task}"),
        benchmark:
            PATHS.benchmark("plot", figure, "{task}")
        conda:
            "../../envs/report.yaml"
        threads: 1
        resources:
            mem_mb=more(4000),
            runtime=more(30),
            disk_mb=more(200),
        params:
            figure=figure,
            block=figures_block(),
            energy=ENERGY,
        message:
            "figure {params.figure} of {wildcards.task}"
        shell:
            "python {input.script:q} --block {params.block:q} --figure {params.figure} --task {wildcards.task} "
            "--predictions {input.predictions:q} "
            "--ecm {params.energy} "
            "--svg {output.svg:q} --png {output.png:q} --csv {output.csv:q} > {log:q} 2>&1"


rule plot_roc:
    """
    Background rejection over signal efficiency of one task.

    Wildcards: task.
    """
    input:
        script=script("figure.py"),
        roc=PATHS.evaluation("roc"),
    output:
        svg=report(
            PATHS.figure("roc_{task}"),
            caption="../report/roc.rst",
            category="3. Results",
            subcategory="{task}",
            labels={"figure": "roc", "task": "{task}"},
        ),
        png=PATHS.figure("roc_{task}", "png"),
        csv=PATHS.figure("roc_{task}", "csv"),
    log:
        PATHS.log("plot", "roc", "{task}"),
    benchmark:
        PATHS.benchmark("plot", "roc", "{task}")
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=more(1000),
        runtime=more(30),
        disk_mb=more(200),
    params:
        block=figures_block(),
        energy=ENERGY,
        evaluate=CAMPAIGN.evaluate.model_dump(),
    message:
        "figure roc of {wildcards.task}"
    shell:
        "python {input.script:q} --block {params.block:q} --figure roc --task {wildcards.task} "
        "--roc-table {input.roc:q} --ecm {params.energy} "
        "--svg {output.svg:q} --png {output.png:q} --csv {output.csv:q} > {log:q} 2>&1"


rule plot_label_efficiency:
    """
    Rejection and AUC over the number of labels of one task.

    Wildcards: task.
    """
    input:
        script=script("figure.py"),
        metrics=PATHS.evaluation("metrics"),
    output:
        svg=report(
            PATHS.figure("label_efficiency_{task}"),
            caption="../report/label_efficiency.rst",
            category="3. Results",
            subcategory="{task}",
            labels={"figure": "label efficiency", "task": "{task}"},
        ),
        png=PATHS.figure("label_efficiency_{task}", "png"),
        csv=PATHS.figure("label_efficiency_{task}", "csv"),
    log:
        PATHS.log("plot", "label_efficiency", "{task}"),
    benchmark:
        PATHS.benchmark("plot", "label_efficiency", "{task}")
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=more(1000),
        runtime=more(30),
        disk_mb=more(200),
    params:
        block=figures_block(),
        energy=ENERGY,
        evaluate=CAMPAIGN.evaluate.model_dump(),
        methods=methods_text(CAMPAIGN),
    message:
        "figure label_efficiency of {wildcards.task}"
    shell:
        "python {input.script:q} --block {params.block:q} --figure label_efficiency --task {wildcards.task} "
        "--metrics-table {input.metrics:q} --ecm {params.energy} "
        "--svg {output.svg:q} --png {output.png:q} --csv {output.csv:q} > {log:q} 2>&1"


rule plot_stability:
    """
    Correlation of the scores of one hard event showered twice, against the AUC.

    No wildcards.
    """
    input:
        script=script("figure.py"),
        stability=PATHS.evaluation("stability"),
    output:
        svg=report(
            PATHS.figure("stability"),
            caption="../report/stability.rst",
            category="3. Results",
            subcategory="Stability",
            labels={"figure": "stability", "task": "all"},
        ),
        png=PATHS.figure("stability", "png"),
        csv=PATHS.figure("stability", "csv"),
    log:
        PATHS.log("plot", "stability"),
    benchmark:
        PATHS.benchmark("plot", "stability")
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=more(1000),
        runtime=more(30),
        disk_mb=more(200),
    params:
        block=figures_block(),
        energy=ENERGY,
        evaluate=CAMPAIGN.evaluate.model_dump(),
    message:
        "figure stability"
    shell:
        "python {input.script:q} --block {params.block:q} --figure stability "
        "--stability-table {input.stability:q} --ecm {params.energy} "
        "--svg {output.svg:q} --png {output.png:q} --csv {output.csv:q} > {log:q} 2>&1"


rule plot_resources:
    """
    Time and memory of the jobs of each rule, when all stages have run.

    No wildcards.
    """
    input:
        script=script("figure.py"),
        summary=PATHS.summary,
    output:
        svg=report(
            PATHS.figure("resources"),
            caption="../report/resources.rst",
            category="4. Provenance",
            subcategory="Jobs",
            labels={"figure": "time and memory"},
        ),
        png=PATHS.figure("resources", "png"),
        csv=PATHS.figure("resources", "csv"),
    log:
        PATHS.log("plot", "resources"),
    benchmark:
        PATHS.benchmark("plot", "resources")
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=more(1000),
        runtime=more(30),
        disk_mb=more(200),
    params:
        block=figures_block(),
        energy=ENERGY,
        benchmarks=PATHS.benchmarks,
    message:
        "figure resources"
    shell:
        "python {input.script:q} --block {params.block:q} --figure resources "
        "--benchmarks {params.benchmarks:q} --ecm {params.energy} "
        "--svg {output.svg:q} --png {output.png:q} --csv {output.csv:q} > {log:q} 2>&1"


for figure in ROBUSTNESS_FIGURES:

    rule:
        name:
            f"plot_{figure}"
        input:
            script=script("figure.py"),
            table=PATHS.evaluation("robustness"),
        output:
            svg=report(
                PATHS.figure(f"{figure}_{{task}}"),
                caption=f"../report/{figure}.rst",
                category="3. Results",
                subcategory="{task}",
                labels={"figure": figure, "task": "{task}"},
            ),
            png=PATHS.figure(f"{figure}_{{task}}", "png"),
            csv=PATHS.figure(f"{figure}_{{task}}", "csv"),
        log:
            PATHS.log("plot", figure, "{task}"),
        benchmark:
            PATHS.benchmark("plot", figure, "{task}")
        conda:
            "../../envs/report.yaml"
        threads: 1
        resources:
            mem_mb=more(1000),
            runtime=more(30),
            disk_mb=more(200),
        params:
            figure=figure,
            block=figures_block(),
            energy=ENERGY,
        message:
            "figure {params.figure} of {wildcards.task}"
        shell:
            "python {input.script:q} --block {params.block:q} --figure {params.figure} --task {wildcards.task} "
            "--robustness-table {input.table:q} --ecm {params.energy} "
            "--svg {output.svg:q} --png {output.png:q} --csv {output.csv:q} > {log:q} 2>&1"


rule plot_latent_quality:
    """
    Retrieval, linear fits and effective rank of the frozen encoders.

    No wildcards.
    """
    input:
        script=script("figure.py"),
        table=PATHS.evaluation("latents"),
    output:
        svg=report(
            PATHS.figure("latent_quality"),
            caption="../report/latent_quality.rst",
            category="2. Pre-training",
            subcategory="Latent space",
            labels={"figure": "latent quality"},
        ),
        png=PATHS.figure("latent_quality", "png"),
        csv=PATHS.figure("latent_quality", "csv"),
    log:
        PATHS.log("plot", "latent_quality"),
    benchmark:
        PATHS.benchmark("plot", "latent_quality")
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=more(1000),
        runtime=more(30),
        disk_mb=more(200),
    params:
        block=figures_block(),
        energy=ENERGY,
    message:
        "figure latent_quality"
    shell:
        "python {input.script:q} --block {params.block:q} --figure latent_quality "
        "--latents-table {input.table:q} --ecm {params.energy} "
        "--svg {output.svg:q} --png {output.png:q} --csv {output.csv:q} > {log:q} 2>&1"


rule plot_ablations:
    """
    Rejection of every ablation; of the target `ablations` alone.

    No wildcards.
    """
    input:
        script=script("figure.py"),
        table=PATHS.ablations("metrics"),
    output:
        svg=report(
            PATHS.figure("ablations"),
            caption="../report/ablations.rst",
            category="4. Ablations",
            subcategory="Ablations",
            labels={"figure": "ablations"},
        ),
        png=PATHS.figure("ablations", "png"),
        csv=PATHS.figure("ablations", "csv"),
    log:
        PATHS.log("plot", "ablations"),
    benchmark:
        PATHS.benchmark("plot", "ablations")
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=more(1000),
        runtime=more(30),
        disk_mb=more(200),
    params:
        block=figures_block(),
        energy=ENERGY,
        subject=subject_text(CAMPAIGN),
    message:
        "figure ablations"
    shell:
        "python {input.script:q} --block {params.block:q} --figure ablations "
        "--ablations-table {input.table:q} --ecm {params.energy} "
        "--svg {output.svg:q} --png {output.png:q} --csv {output.csv:q} > {log:q} 2>&1"
