"""Latents of the test jets under the pre-trained encoders, and what the encoders know."""


rule embed:
    """
    Compute the latents of the test jets of a group of parts under a pre-trained encoder.

    Wildcards: run, process, group.
    """
    input:
        script=script("embed.py"),
        manifest=ancient(PATHS.manifest),
        model=lambda wildcards: model_file(wildcards.run),
    output:
        latents=PATHS.latents(),
    log:
        PATHS.log("embed", "{run}", "{process}", "{group}"),
    benchmark:
        PATHS.benchmark("embed", "{run}", "{process}", "{group}")
    conda:
        "../../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=more(1500),
        runtime=more(120),
        disk_mb=more(500),
    params:
        data=data_of(group_data),
        parts=parts_of_group,
        devices=devices,
        version=versions.LATENTS,
    message:
        "latents of {wildcards.process} {wildcards.group} under {wildcards.run}"
    shell:
        "python {input.script:q} --manifest {input.manifest:q} --model {input.model:q} --threads {threads} "
        "{params.devices}--process {wildcards.process} --parts {params.parts} --latents {output.latents:q} > {log:q} 2>&1"


rule quality:
    """
    Measure what a pre-trained encoder knows, on a bounded number of hard events.

    Wildcards: run.
    """
    input:
        script=script("quality.py"),
        manifest=ancient(PATHS.manifest),
        model=lambda wildcards: model_file(wildcards.run),
    output:
        PATHS.latent_quality(),
    log:
        PATHS.log("quality", "{run}"),
    benchmark:
        PATHS.benchmark("quality", "{run}")
    conda:
        "../../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=more(60),
        disk_mb=more(100),
    params:
        data=data_of(lambda wildcards: reads.of_quality(CAMPAIGN)),
        seed=CAMPAIGN.seed,
        bootstrap=CAMPAIGN.evaluate.bootstrap,
        events=CAMPAIGN.evaluate.quality_events,
        version=versions.LATENTS,
    message:
        "quality of the latents of {wildcards.run}"
    shell:
        "python {input.script:q} --manifest {input.manifest:q} --model {input.model:q} --threads {threads} "
        "--seed {params.seed} --bootstrap {params.bootstrap} --events {params.events} "
        "--quality {output:q} > {log:q} 2>&1"
