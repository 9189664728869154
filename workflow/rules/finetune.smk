"""Classifiers on the pre-trained encoders, and their baselines."""


rule finetune:
    """
    Train all classifiers of one task on one pre-training run, or without one.

    Wildcards: task, run (`none` trains from scratch, and on a random frozen encoder). What is finished lies in a
    folder that is no output of this rule, so that a failed or cancelled job goes on from there.
    """
    input:
        script=script("finetune.py"),
        manifest=ancient(PATHS.manifest),
        model=finetune_model,
    output:
        classifiers=PATHS.classifiers(),
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
        data=data_of(lambda wildcards: reads.of_task(CAMPAIGN, wildcards.task)),
        block=lambda wildcards: blocks.finetune(CAMPAIGN, wildcards.task, wildcards.run).as_json(),
        model=lambda wildcards, input: f"--model {input.model}" if input.model else "",
        state=PATHS.finetune_state(),
        devices=devices,
        on_undertrained=on_undertrained,
    message:
        "classifiers of {wildcards.task} on {wildcards.run}"
    shell:
        "python {input.script:q} --block {params.block:q} --manifest {input.manifest:q} {params.model} "
        "{params.devices}--state {params.state:q} --threads {threads} --classifiers {output.classifiers:q} "
        "--history {output.history:q} --on-undertrained {params.on_undertrained:q} > {log:q} 2>&1"


rule score:
    """
    Score the test jets of a group of parts with all classifiers of one task on one run.

    Wildcards: task, run, process, group.
    """
    input:
        script=script("score.py"),
        manifest=ancient(PATHS.manifest),
        classifiers=PATHS.classifiers(),
        model=finetune_model,
    output:
        predictions=PATHS.predictions(),
    log:
        PATHS.log("score", "{task}", "{run}", "{process}", "{group}"),
    benchmark:
        PATHS.benchmark("score", "{task}", "{run}", "{process}", "{group}")
    conda:
        "../../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=more(1500),
        runtime=more(240),
        disk_mb=more(500),
    params:
        data=data_of(group_data),
        parts=parts_of_group,
        devices=devices,
        model=lambda wildcards, input: f"--model {input.model}" if input.model else "",
        version=versions.SCORE,
    message:
        "scores of {wildcards.process} {wildcards.group}: {wildcards.task} on {wildcards.run}"
    shell:
        "python {input.script:q} --classifiers {input.classifiers:q} --manifest {input.manifest:q} {params.model} "
        "{params.devices}--process {wildcards.process} --parts {params.parts} --threads {threads} "
        "--predictions {output.predictions:q} > {log:q} 2>&1"
