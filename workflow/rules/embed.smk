"""Latents of the test jets under the pre-trained encoders."""


rule embed:
    """
    Compute the latents of the test jets under a pre-trained encoder, and what they know.

    Wildcards: run.
    """
    input:
        script=script("embed.py"),
        manifest=ancient(PATHS.manifest),
        model=lambda wildcards: model_file(wildcards.run),
    output:
        latents=PATHS.latents(),
        quality=PATHS.latent_quality(),
    log:
        PATHS.log("embed", "{run}"),
    benchmark:
        PATHS.benchmark("embed", "{run}")
    conda:
        "../../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=more(3000),
        runtime=more(60),
        disk_mb=more(500),
    params:
        data=data_of(lambda wildcards: reads.of_test(CAMPAIGN)),
        seed=CAMPAIGN.seed,
        bootstrap=CAMPAIGN.evaluate.bootstrap,
        version=versions.LATENTS,
    message:
        "latents of {wildcards.run}"
    shell:
        "python {input.script:q} --manifest {input.manifest:q} --model {input.model:q} --threads {threads} "
        "--seed {params.seed} --bootstrap {params.bootstrap} "
        "--latents {output.latents:q} --quality {output.quality:q} > {log:q} 2>&1"
