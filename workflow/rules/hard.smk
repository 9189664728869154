"""Hard processes."""


rule index_lhe:
    """
    Read and check the external Les Houches files of a process, once for all its shards.

    Wildcards: process.
    """
    input:
        script=script("index_lhe.py"),
        files=lhe_files,
    output:
        index=PATHS.lhe_index(),
    log:
        PATHS.log("index_lhe", "{process}"),
    benchmark:
        PATHS.benchmark("index_lhe", "{process}")
    conda:
        "../../envs/generation.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
        disk_mb=10,
    params:
        block=lambda wildcards: blocks.lhe_source(CAMPAIGN, wildcards.process).as_json(),
        braces=lhe_stamps,
    message:
        "external hard events: {wildcards.process}"
    shell:
        "python {input.script:q} --block {params.block:q} --out {output.index:q} > {log:q} 2>&1"


rule hard_process:
    """
    Generate one shard of hard events, with the decays of their resonances, or take it from external files.

    Wildcards: process, shard.
    """
    input:
        script=script("hard.py"),
        index=lhe_index,
    output:
        lhe=PATHS.hard(),
    log:
        PATHS.log("hard_process", "{process}", "{shard}"),
    benchmark:
        PATHS.benchmark("hard_process", "{process}", "{shard}")
    conda:
        "../../envs/generation.yaml"
    threads: 1
    resources:  # constants, because functions would make planning 10^5 jobs a third slower; profiles make them grow
        mem_mb=1000,
        runtime=30,
        disk_mb=200,
        events=CAMPAIGN.events_per_shard,
    params:
        block=lambda wildcards: blocks.hard(CAMPAIGN, wildcards.process, int(wildcards.shard)).as_json(),
    shell:
        "python {input.script:q} --block {params.block:q} --index={input.index:q} --out {output.lhe:q} > {log:q} 2>&1"
