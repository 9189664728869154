"""Classifiers on the pre-trained encoders, and their baselines."""


rule finetune:
    """
    Train and test all classifiers of one task on one pre-training run, or without one.

    Wildcards: task, run (`none` trains from scratch, and on a random frozen encoder).
    """
    input:
        script=script("finetune.py"),
        manifest=PATHS.manifest,
        model=finetune_model,
    output:
        predictions=PATHS.predictions(),
        history=PATHS.histories(),
        checksum=checksum_of(PATHS.histories()),
    log:
        PATHS.log("finetune", "{task}", "{run}"),
    benchmark:
        PATHS.benchmark("finetune", "{task}", "{run}")
    conda:
        "../../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=more(3000),
        runtime=more(240),
        disk_mb=more(500),
    params:
        block=lambda wildcards: blocks.finetune(CAMPAIGN, wildcards.task, wildcards.run).as_json(),
        model=lambda wildcards, input: f"--model {input.model}" if input.model else "",
        on_undertrained=on_undertrained,
    message:
        "classifiers of {wildcards.task} on {wildcards.run}"
    shell:
        "python {input.script:q} --block {params.block:q} --manifest {input.manifest:q} {params.model} "
        "--threads {threads} --predictions {output.predictions:q} --history {output.history:q} "
        "--on-undertrained {params.on_undertrained:q} > {log:q} 2>&1"
