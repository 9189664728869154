"""Memory, CPU time and jobs of all stages after the merge, on copies of a small data set.

The data set is multiplied (new keys of events, a part per copy and part), for each of ``--factors``. All jobs that
the rules after the merge have on it are then run, one after the other, as the very commands of the rules, which a
dry run of Snakemake prints. ``--limit-gb`` forbids each of them more address space than that (``ulimit -v``). Each
job gives a line of JSON in ``<work>/jobs.jsonl``: its peak memory (ru_maxrss) and CPU time. The same call goes on
where it was stopped. In the end a table is printed, with the slope of the peak memory between the two largest
sizes in bytes per jet of the data set. With ``--page`` it is written into that page, too, between
``<!-- scale -->`` and ``<!-- /scale -->``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from rs3l.dataset.checksum import sealed_json
from rs3l.dataset.parquet import parquet_options
from rs3l.dataset.schema import dataset_schema
from rs3l.files import sha256
from rs3l.paths import SPLITS

REPOSITORY = Path(__file__).resolve().parent.parent
Values = dict[str, Any]

STAGES = ("pretrain", "embed", "quality", "finetune", "score", "measure", "evaluate", "plot")
"""The folders of logs of the rules after the merge, in the order of the table; others are run, and follow."""

NOT_ASKED = ("hard_process", "index_lhe", "resimulate", "resimulate_together", "merge")
"""Rules before the data set, which Snakemake must not plan."""

LEFT_OUT = ("plot/resources", "report")
"""Jobs that read the benchmark files of all other jobs, which only a campaign that Snakemake runs has."""

SHORT: Values = {
    "pretrain": {
        "methods": ["rs3l"], "seeds": 1, "epochs": 1, "loop": {"stream": True}, "on_collapse": "warn",
    },
    "finetune": {"labels": [1000], "repeats": 1, "on_undertrained": "warn"},
}  # fmt: skip
"""Changes of the configuration for short jobs, whose memory is that of long ones: one epoch, read as a stream."""


# --- the copies


def copy_of(source: Path, config: Values, factor: int, folder: Path) -> Values:
    """Write ``factor`` copies of the data set in ``source`` to ``folder``; return their configuration.

    A copy of an event has the index of the original plus a multiple of the number of events that the parts have
    room for.
    """
    manifest = json.loads((source / "manifest.json").read_text(encoding="utf-8"))
    room = config.get("dataset", {}).get("events_per_part", 20_000)
    parts = dict.fromkeys(manifest["processes"], 0)
    for entry in manifest["files"]:
        parts[entry["process"]] = max(parts[entry["process"]], _number(entry["path"]) + 1)
    for split in SPLITS:
        (folder / split).mkdir(parents=True, exist_ok=True)
    files = [
        _copied(source, folder, entry, copy, parts[entry["process"]], room)
        for copy in range(factor)
        for entry in manifest["files"]
    ]
    write_manifest(folder, manifest, files, factor)
    for name in ("card.md", "provenance.json"):
        shutil.copy(source / name, folder / name) if (source / name).is_file() else (folder / name).touch()
    sizes = {name: {**config["processes"][name], "events": n * room * factor} for name, n in parts.items() if n}
    return {**config, "processes": {**config["processes"], **sizes}}


def _number(path: str) -> int:
    """Return the number of a part."""
    return int(Path(path).stem.rpartition("-")[2])


def _copied(source: Path, folder: Path, entry: Values, copy: int, parts: int, room: int) -> Values:
    """Write one copy of one file a row group at a time, and return its entry in the manifest."""
    path = f"{entry['split']}/{entry['process']}-{_number(entry['path']) + copy * parts:04d}.parquet"
    schema = dataset_schema()
    with (
        pq.ParquetFile(source / entry["path"]) as file,
        pq.ParquetWriter(folder / path, schema, **parquet_options(schema)) as writer,
    ):
        for group in range(file.num_row_groups):
            table = file.read_row_group(group).select(schema.names).cast(schema)
            moved = _moved(table, copy * parts * room, parts * room, source / entry["path"])
            writer.write_table(moved, row_group_size=max(moved.num_rows, 1))
    return {**entry, "path": path, "sha256": sha256(folder / path)}


def _moved(table: pa.Table, by: int, room: int, path: Path) -> pa.Table:
    """Return events whose indices are ``by`` larger."""
    keys = table["event_id"].to_numpy()
    if len(keys) and int((keys & ((1 << 40) - 1)).max()) >= room:
        raise SystemExit(f"{path}: has events beyond its parts: give the configuration of the data set (--config)")
    place = table.schema.get_field_index("event_id")
    return table.set_column(place, table.schema.field(place), pa.array(keys + np.int64(by)))


def write_manifest(folder: Path, manifest: Values, files: Sequence[Values], factor: int) -> None:
    """Write the manifest of the copies, whose counts are those of the original, times ``factor``."""
    processes = {
        name: {
            **entry,
            **{key: entry[key] * factor for key in ("hard_events", "sum_weights") if key in entry},
            **{key: _times(entry[key], factor) for key in ("status",) if key in entry},
        }
        for name, entry in manifest["processes"].items()
    }
    kept = {key: value for key, value in manifest.items() if key not in ("digests", "sha256")}
    contents = {**kept, "processes": processes, "files": sorted(files, key=lambda file: str(file["path"]))}
    (folder / "manifest.json").write_text(json.dumps(sealed_json(contents)), encoding="utf-8")


def _times(value: Any, factor: int) -> Any:
    if isinstance(value, Mapping):
        return {key: _times(entry, factor) for key, entry in value.items()}
    return value * factor


def changed(values: Mapping[str, Any], changes: Mapping[str, Any]) -> Values:
    """Return values with changes at any depth."""
    result = dict(values)
    for key, value in changes.items():
        own = result.get(key)
        result[key] = changed(own, value) if isinstance(value, Mapping) and isinstance(own, Mapping) else value
    return result


# --- the jobs


def commands(folder: Path) -> dict[str, str]:
    """Return the commands of all jobs after the merge by the names of their logs, in an order that works.

    They are planned once, when nothing is there, and kept.
    """
    kept = folder / "commands.json"
    if not kept.is_file():
        found = _planned(folder)
        kept.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return dict(json.loads(kept.read_text(encoding="utf-8")))


def _planned(folder: Path) -> dict[str, str]:
    rules = [line.split()[0] for line in _snakemake(folder, "--list-rules").splitlines() if line[:1].strip()]
    allowed = [rule for rule in rules if rule not in NOT_ASKED]
    text = _snakemake(
        folder, "--dry-run", "--printshellcmds", "--cores", "1", "--allowed-rules", *allowed, "--", "all"
    )
    lines = re.findall(r"^Shell command: (.*)$", text, re.MULTILINE)
    names = [re.search(r"/logs/(\S+)\.log 2>&1$", line) for line in lines]
    found = {name[1]: line for name, line in zip(names, lines, strict=True) if name}
    return {name: line for name, line in found.items() if name not in LEFT_OUT}


def _snakemake(folder: Path, *options: str) -> str:
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"),
        "--directory", str(folder), "--configfile", str(folder / "config.yaml"), *options,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout + done.stderr


_LAUNCHER = """
import json, os, resource, sys
limit, command = int(sys.argv[1]), sys.argv[2]
child = os.fork()
if not child:
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    os.execvp("bash", ["bash", "-c", command])
_, status, used = os.wait4(child, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_maxrss, used.ru_utime + used.ru_stime]))
"""
"""Runs a job. The peak memory of a process includes that of its parent before the fork: this one is small."""


_RESERVE_LITTLE = {"MIMALLOC_ARENA_RESERVE": "65536", "MALLOC_ARENA_MAX": "2"}
"""Under a limit of the address space: allocators would reserve 1 GB of it that they never use."""


def run(command: str, folder: Path, limit_gb: float) -> Values:
    """Run the command of a job under a limit of its address space; return what it used."""
    for word in shlex.split(command):
        if word.startswith("results/"):
            (folder / word).parent.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    environment = {**os.environ, **(_RESERVE_LITTLE if limit_gb else {})}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    launcher = [sys.executable, "-S", "-c", _LAUNCHER, str(int(limit_gb * 1e9)), command]
    done = subprocess.run(launcher, cwd=folder, env=environment, capture_output=True, check=True)
    code, peak_kb, cpu_s = json.loads(done.stdout.splitlines()[-1])
    return {
        "exit": code,
        "peak_mb": round(peak_kb / 1024, 1),
        "cpu_s": round(cpu_s, 2),
        "wall_s": round(time.monotonic() - begin, 2),
    }


def measure(args: argparse.Namespace, config: Values, factor: int) -> Iterator[Values]:
    """Make the copies for one factor, and yield a line for each job that is run on them now."""
    folder = args.work / f"x{factor}"
    if not (folder / "config.yaml").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        values = copy_of(args.dataset, config, factor, folder / "results" / config["campaign"] / "dataset")
        (folder / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    manifest = folder / "results" / config["campaign"] / "dataset" / "manifest.json"
    jets = sum(file["rows"] for file in json.loads(manifest.read_text(encoding="utf-8"))["files"])
    done = {line["job"] for line in read_lines(args.work) if line["factor"] == factor and not line["exit"]}
    for job, command in commands(folder).items():
        if job not in done and (not args.stages or job.startswith(tuple(args.stages))):
            used = run(command, folder, args.limit_gb)
            yield {"factor": factor, "jets": jets, "job": job, **used, "limit_gb": args.limit_gb}


def read_lines(work: Path) -> list[Values]:
    """Return the lines of all jobs that were run, the latest of each job."""
    path = work / "jobs.jsonl"
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines()) if path.is_file() else []
    return [*{(line["factor"], line["job"]): line for line in lines}.values()]


# --- the table


def table(lines: Sequence[Values]) -> str:
    """Return a table of the stages: jobs, peak memory for each factor, its slope, and CPU time."""
    jets = {line["factor"]: line["jets"] for line in sorted(lines, key=lambda line: line["factor"])}
    heads = [f"{factor}×: {n:,} jets" for factor, n in jets.items()]
    rows = [["stage", "jobs", *heads, "slope [B/jet]", "CPU time [s]"], ["---"] * (len(heads) + 4)]
    found = {line["job"].split("/")[0] for line in lines}
    for stage in (*(s for s in STAGES if s in found), *sorted(found - {*STAGES})):
        rows.append(_row(stage, [line for line in lines if line["job"].split("/")[0] == stage], jets))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _row(stage: str, lines: Sequence[Values], jets: Mapping[int, int]) -> list[str]:
    by_factor = {factor: [line for line in lines if line["factor"] == factor] for factor in jets}
    peaks = {factor: max(line["peak_mb"] for line in own) for factor, own in by_factor.items() if own}
    failed = {factor for factor, own in by_factor.items() if any(line["exit"] for line in own)}
    cells = [
        f"{peaks[factor]:,.0f} MB{' (failed)' if factor in failed else ''}" if factor in peaks else ""
        for factor in jets
    ]
    times = [f"{sum(line['cpu_s'] for line in by_factor[factor]):,.0f}" for factor in peaks]
    return [
        "figures" if stage == "plot" else f"`{stage}`",
        _first_to_last([f"{len(by_factor[factor]):,}" for factor in peaks]),
        *cells,
        slope(peaks, jets),
        _first_to_last(times),
    ]


def _first_to_last(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"{values[0]} → {values[-1]}"


def slope(peaks: Mapping[int, float], jets: Mapping[int, int]) -> str:
    """Return the growth of the peak memory between the two largest sizes, in bytes per jet.

    In the smallest, what a job holds at a time may be all that there is.
    """
    if len(peaks) < 2:
        return ""
    first, last = sorted(peaks)[-2:]
    return str(round((peaks[last] - peaks[first]) * 2**20 / (jets[last] - jets[first])))


def write_table(page: Path, text: str) -> None:
    """Write a table into a page, between its markers."""
    pattern = re.compile(r"(<!-- scale -->\n).*?(<!-- /scale -->)", re.DOTALL)
    old = page.read_text(encoding="utf-8")
    if not pattern.search(old):
        raise SystemExit(f"{page}: has no lines <!-- scale --> and <!-- /scale -->")
    page.write_text(pattern.sub(lambda found: f"{found[1]}{text}\n{found[2]}", old), encoding="utf-8")


def measured(args: argparse.Namespace) -> Iterable[Values]:
    """Yield a line for each job that is run now, for all factors."""
    config = changed(yaml.safe_load(args.config.read_text(encoding="utf-8")), json.loads(args.changes))
    for factor in sorted(args.factors):
        yield from measure(args, config, factor)


def main() -> None:
    """Run what has not been run yet, and show the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True, help="folder of the small data set")
    parser.add_argument(
        "--config", type=Path, default=REPOSITORY / "config" / "config.yaml", help="its configuration"
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for the copies and all results")
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 4, 16, 40])
    parser.add_argument(
        "--stages", nargs="*", default=[], help=f"only these, e.g. {' '.join(STAGES)}; plot/latent"
    )
    parser.add_argument(
        "--limit-gb", type=float, default=0.0, help="address space of each job (default: no limit)"
    )
    parser.add_argument("--changes", default=json.dumps(SHORT), help="changes of the configuration (JSON)")
    parser.add_argument("--page", type=Path, help="write the table into this page, too: docs/scale.md")
    args = parser.parse_args()
    args.work = args.work.resolve()
    args.work.mkdir(parents=True, exist_ok=True)
    with (args.work / "jobs.jsonl").open("a", encoding="utf-8") as stream:
        for line in measured(args):
            print(json.dumps(line), file=stream, flush=True)
            print(f"{line['factor']}× {line['job']}: {line['peak_mb']} MB, {line['cpu_s']} s", flush=True)
    lines = read_lines(args.work)
    print(table(lines))
    if args.page:
        write_table(args.page, table(lines))
    if failed := [f"{line['factor']}× {line['job']}" for line in lines if line["exit"]]:
        raise SystemExit(f"failed: {', '.join(failed)}; see {args.work}/x*/results/*/logs")


if __name__ == "__main__":
    main()
