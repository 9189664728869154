"""The pool of minimum-bias events that pile-up is drawn from, if some variant has pile-up."""


rule pileup:
    """
    Make one shard of the pool of minimum-bias events.

    Wildcards: shard.
    """
    input:
        script=script("pileup.py"),
    output:
        pool=PATHS.pool(),
    log:
        PATHS.log("pileup", "{shard}"),
    benchmark:
        PATHS.benchmark("pileup", "{shard}")
    conda:
        "../../envs/generation.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=120,
        disk_mb=500,
        events=CAMPAIGN.pileup.events_per_shard,
    params:
        block=lambda wildcards: blocks.pool_shard(CAMPAIGN, int(wildcards.shard)).as_json(),
    message:
        "minimum-bias events: shard {wildcards.shard}"
    shell:
        "python {input.script:q} --block {params.block:q} --out {output.pool:q} > {log:q} 2>&1"
