"""Contrastive pre-training."""


rule pretrain:
    """
    Pre-train an encoder on views that are re-simulations or hand-made augmentations.

    Wildcards: run (<method>_s<seed>). Checkpoints live in a folder that is no output of this rule, so that a
    failed or cancelled job resumes from them. A profile sets the ranks by the resources `tasks`, `gpu` and `device`.
    """
    input:
        script=script("pretrain.py"),
        manifest=ancient(PATHS.manifest),
    output:
        model=PATHS.model(),
        metrics=PATHS.model_metrics(),
        checksum=checksum_of(PATHS.model_metrics()),
        provenance=PATHS.model_provenance(),
    log:
        PATHS.log("pretrain", "{run}"),
    benchmark:
        PATHS.benchmark("pretrain", "{run}")
    conda:
        "../../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=more(3000),
        runtime=more(240),
        disk_mb=more(500),
    params:
        block=lambda wildcards: blocks.pretrain(CAMPAIGN, wildcards.run).as_json(),
        data=data_of(lambda wildcards: reads.of_pretraining(CAMPAIGN, wildcards.run)),
        state=PATHS.training_state(),
        live=PATHS.live_metrics(),
        launcher=launcher,
        devices=devices,
        on_collapse=on_collapse,
        check_every=check_every,
    message:
        "pre-train {wildcards.run}"
    shell:
        "{params.launcher} {input.script:q} --block {params.block:q} {params.devices}--manifest {input.manifest:q} --state {params.state:q} "
        "--live {params.live:q} --threads {threads} --model {output.model:q} --metrics {output.metrics:q} "
        "--provenance {output.provenance:q} --on-collapse {params.on_collapse:q} "
        "--check-every {params.check_every} > {log:q} 2>&1"
