"""Every file of a campaign, named once.

A method that is called with names returns a path, and one that is called without returns a pattern with
Snakemake's wildcards.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

Split = Literal["train", "label", "val", "test"]
EVERY_SPLIT: tuple[Split, ...] = get_args(Split)
"""All splits that a data set can have, in the order of the positions of their events."""
SPLITS: tuple[Split, ...] = ("train", "val", "test")
"""The splits that every data set has; `label` is there only where events are set apart for labels."""


def splits_with(there: Collection[str]) -> tuple[Split, ...]:
    """Return the splits that every data set has, and those among ``there``."""
    return tuple(name for name in EVERY_SPLIT if name in SPLITS or name in there)


def shard_name(shard: int) -> str:
    """Return the name of a shard of hard events, of a part or of a group of parts, ``0000`` upwards."""
    return f"{shard:04d}"


def checksum_of(path: str) -> str:
    """Return the file beside a file of text that holds its SHA-256."""
    return f"{path}.sha256"


@dataclass(frozen=True)
class CampaignPaths:
    """The layout of one campaign under ``root`` (``results/<campaign>``)."""

    root: str

    # hard process and re-simulation
    def hard(self, process: str = "{process}", shard: str = "{shard}") -> str:
        """Return the LHE shard of hard events."""
        return f"{self.root}/hard/{process}/{shard}.lhe.gz"

    def lhe_index(self, process: str = "{process}") -> str:
        """Return the file that says what the external files of a process hold."""
        return f"{self.root}/hard/{process}/files.json"

    def pool(self, shard: str = "{shard}") -> str:
        """Return one shard of the pool of minimum-bias events."""
        return f"{self.root}/pileup/{shard}.arrow"

    def jets(self, process: str = "{process}", variant: str = "{variant}", shard: str = "{shard}") -> str:
        """Return the file of jets of one shard under one variant, with a row per hard event."""
        return f"{self.root}/jets/{process}/{variant}/{shard}.parquet"

    # jets from files
    def imported(self, part: str = "{part}") -> str:
        """Return the file that says what was imported from a file of jets."""
        return f"{self.root}/import/{part}.json"

    # data set
    @property
    def dataset(self) -> str:
        """Folder of the data set."""
        return f"{self.root}/dataset"

    def split(self, split: str = "{split}") -> str:
        """Return the folder of one split with its Parquet files and no others, so that one pattern reads them."""
        return f"{self.dataset}/{split}"

    def part(self, split: str = "{split}", process: str = "{process}", part: str = "{part}") -> str:
        """Return one Parquet file of the data set."""
        return f"{self.split(split)}/{process}-{part}.parquet"

    @property
    def manifest(self) -> str:
        """Contents, counts and checksums of the data set."""
        return f"{self.dataset}/manifest.json"

    @property
    def card(self) -> str:
        """The data set described for people."""
        return f"{self.dataset}/card.md"

    @property
    def merge_provenance(self) -> str:
        """The shards, and the versions of software, from which the data set was made."""
        return f"{self.dataset}/provenance.json"

    # training
    def model(self, run: str = "{run}") -> str:
        """Return the file of the weights of a pre-training run."""
        return f"{self.root}/models/{run}/model.safetensors"

    def model_metrics(self, run: str = "{run}") -> str:
        """Return the file of the loss and diagnostics of each epoch of a pre-training run."""
        return f"{self.root}/models/{run}/metrics.csv"

    def model_provenance(self, run: str = "{run}") -> str:
        """Return the file of the configuration, data set and versions of a pre-training run."""
        return f"{self.root}/models/{run}/provenance.json"

    def latents(self, run: str = "{run}", process: str = "{process}", group: str = "{group}") -> str:
        """Return the file of the latents z of the test jets of a group of parts under a pre-training run."""
        return f"{self.root}/models/{run}/latents/{process}-{group}.parquet"

    def latent_quality(self, run: str = "{run}") -> str:
        """Return the file of what a pre-training run knows of the test jets, under every bootstrap replica."""
        return f"{self.root}/models/{run}/quality.parquet"

    def live_metrics(self, run: str = "{run}") -> str:
        """Return the folder of the metrics that a pre-training writes while it runs."""
        return f"{self.root}/logs/pretrain/{run}"

    def training_state(self, run: str = "{run}") -> str:
        """Return the folder of resumable checkpoints.

        It is never an output of a rule, so that no failed job deletes it.
        """
        return f"{self.root}/state/{run}"

    def classifiers(self, task: str = "{task}", run: str = "{run}") -> str:
        """Return the file of the trained classifiers of one task on one pre-training run (or ``none``)."""
        return f"{self.root}/downstream/{task}/{run}/classifiers.safetensors"

    def predictions(
        self, task: str = "{task}", run: str = "{run}", process: str = "{process}", group: str = "{group}"
    ) -> str:
        """Return the file of the scores of the test jets of a group of parts, a column per classifier."""
        return f"{self.root}/downstream/{task}/{run}/predictions/{process}-{group}.parquet"

    def measures(self, task: str = "{task}", run: str = "{run}") -> str:
        """Return the file of the measures of the classifiers of one task and run, under every replica."""
        return f"{self.root}/downstream/{task}/{run}/measures.parquet"

    def finetune_state(self, task: str = "{task}", run: str = "{run}") -> str:
        """Return the folder of the classifiers that a fine-tuning has finished; never an output of a rule."""
        return f"{self.root}/state/finetune/{task}/{run}"

    def histories(self, task: str = "{task}", run: str = "{run}") -> str:
        """Return the file with a line per classifier trained, with its best epoch, epochs and validation loss."""
        return f"{self.root}/downstream/{task}/{run}/history.csv"

    # evaluation and report
    def evaluation(self, table: str = "{table}") -> str:
        """Return a table of the evaluation (CSV)."""
        return f"{self.root}/evaluation/{table}.csv"

    def ablations(self, table: str = "{table}") -> str:
        """Return a table of the evaluation of the ablations (CSV)."""
        return f"{self.root}/ablations/{table}.csv"

    @property
    def ablations_summary(self) -> str:
        """Headline numbers of the ablations."""
        return f"{self.root}/ablations/summary.json"

    @property
    def summary(self) -> str:
        """Headline numbers."""
        return f"{self.root}/summary.json"

    @property
    def summary_text(self) -> str:
        """Headline numbers and main results as Markdown."""
        return f"{self.root}/summary.md"

    @property
    def report(self) -> str:
        """The report, which is one HTML file."""
        return f"{self.root}/report.html"

    def figure(self, figure: str = "{figure}", suffix: str = "svg") -> str:
        """Return a figure (``svg``, ``png``) or the points that it shows (``csv``)."""
        return f"{self.root}/figures/{figure}.{suffix}"

    # what Snakemake writes beside the outputs
    def log(self, rule: str, *wildcards: str) -> str:
        """Return the log of one job."""
        return "/".join([self.root, "logs", rule, *wildcards]) + ".log"

    @property
    def worker_logs(self) -> str:
        """Folder with the logs of the merge's worker jobs."""
        return f"{self.root}/logs/merge"

    @property
    def benchmarks(self) -> str:
        """Folder of all benchmark files."""
        return f"{self.root}/benchmarks"

    def benchmark(self, rule: str, *wildcards: str) -> str:
        """Return the file of the run time and memory of one job."""
        return "/".join([self.benchmarks, rule, *wildcards]) + ".jsonl"
