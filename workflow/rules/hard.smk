"""Stage 1: hard processes."""


rule hard_process:
    """
    Generate one shard of hard events, with the decays of their resonances.

    Wildcards: process, shard.
    """
    input:
        script=script("hard_process.py"),
    output:
        lhe=PATHS.hard(),
    log:
        PATHS.log("hard_process", "{process}", "{shard}"),
    benchmark:
        PATHS.benchmark("hard_process", "{process}", "{shard}")
    conda:
        "../../envs/generation.yaml"
    threads: 1
    resources:  # constants: functions would add a third to the time that 10^5 jobs take to plan; profiles make them grow
        mem_mb=1000,
        runtime=30,
        disk_mb=200,
        events=CAMPAIGN.events_per_shard,
    params:
        block=lambda wildcards: blocks.hard(
            CAMPAIGN, wildcards.process, int(wildcards.shard)
        ).model_dump_json(),
    shell:
        "python {input.script:q} --block {params.block:q} --out {output.lhe:q} > {log:q} 2>&1"
