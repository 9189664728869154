"""Re-simulation, with one job per shard and variant, or one per shard for variants that share a shower."""


rule resimulate:
    """
    Shower, hadronise and cluster the hard events of one shard under one variant.

    Wildcards: process, variant, shard.
    """
    input:
        script=script("resim.py"),
        hard=PATHS.hard(),
        pileup=pool_files if POOL else [],
    output:
        jets=PATHS.jets(),
    log:
        PATHS.log("resimulate", "{process}", "{variant}", "{shard}"),
    benchmark:
        PATHS.benchmark("resimulate", "{process}", "{variant}", "{shard}")
    wildcard_constraints:
        variant=own_variants(),
    conda:
        "../../envs/generation.yaml"
    threads: 1
    resources:  # constants, because functions would make planning 10^5 jobs a third slower; profiles make them grow
        mem_mb=1500,
        runtime=120,
        disk_mb=500,
        events=CAMPAIGN.events_per_shard,
    params:
        block=lambda wildcards: resim_block(wildcards.process, wildcards.variant),
        shard_events=CAMPAIGN.events_per_shard,
    shell:
        "python {input.script:q} --block {params.block:q} --hard {input.hard:q} --shard {wildcards.shard} "
        f"--shard-events {{params.shard_events}} {POOL_OPTION}--out {{output.jets:q}} > {{log:q}} 2>&1"


if CAMPAIGN.share_shower:

    rule resimulate_together:
        """
        Shower the hard events of one shard once, then hadronise, detect and cluster them under several variants.

        Wildcards: process, shard.
        """
        input:
            script=script("resim_together.py"),
            hard=PATHS.hard(),
            pileup=POOL,
        output:
            jets=shared_jets(),
        log:
            PATHS.log("resimulate_together", "{process}", "{shard}"),
        benchmark:
            PATHS.benchmark("resimulate_together", "{process}", "{shard}")
        conda:
            "../../envs/generation.yaml"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=240,
            disk_mb=2000,
            events=CAMPAIGN.events_per_shard * len(shared_jets()),
        params:
            block=lambda wildcards: together_block(wildcards.process),
            shard_events=CAMPAIGN.events_per_shard,
        shell:
            "python {input.script:q} --block {params.block:q} --hard {input.hard:q} --shard {wildcards.shard} "
            f"--shard-events {{params.shard_events}} {POOL_OPTION}--out {{output.jets:q}} > {{log:q}} 2>&1"
