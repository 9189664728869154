"""Make the tables of metrics with errors, and the summary, from the measures of all classifiers."""

from rs3l import cli
from rs3l.config import blocks
from rs3l.dataset.checksum import sealed_json, write_checked
from rs3l.evaluate.evaluate import evaluate
from rs3l.evaluate.registry import TABLES
from rs3l.files import write_json


def main() -> None:
    """Parse the arguments, evaluate, write the tables."""
    parser = cli.parser(__doc__)
    parser.add_argument("--manifest", required=True, help="manifest of the data set (.json)")
    parser.add_argument(
        "--measures", required=True, nargs="+", help="{task}/{run}/measures.parquet of every task and run"
    )
    parser.add_argument(
        "--histories", required=True, nargs="+", help="{task}/{run}/history.csv of every task and run"
    )
    parser.add_argument(
        "--qualities", required=True, nargs="+", help="{run}/quality.parquet of every pre-trained run"
    )
    for table in TABLES:
        parser.add_argument(f"--{table}", help=f"table to write ({table}.csv)")
    parser.add_argument("--summary", required=True, help="headline numbers to write (.json)")
    args = parser.parse_args()
    block = cli.block(args, blocks.EvaluateBlock, blocks.evaluate)
    result = evaluate(block, args.manifest, args.measures, args.histories, args.qualities)
    for table in (table for table in TABLES if getattr(args, table)):
        write_checked(getattr(args, table), result.tables[table].to_csv(index=False, float_format="%.7g"))
    write_json(args.summary, sealed_json(result.summary))
