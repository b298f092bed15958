"""Classify a file of sentences, CSV or JSON lines, one after the other.

Every row comes back with the columns `prediction` and `probability_CLASS` added. Sentences are
taken from the column `words` (split already: a list, or words with spaces between) or `text` (raw);
tags from the column `tags` where there is one, else the pipeline's tagger gives them.

Example::

  ggsa predict --run runs/core/hard-42 reviews.csv --text review --out predicted.csv
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "file", metavar="FILE", type=Path, help=".csv or .tsv with a header, or .jsonl"
    )
    parser.add_argument("--run", dest="model", metavar="RUN", required=True, help="a trained run")
    parser.add_argument("--text", metavar="COLUMN", help="of raw text")
    parser.add_argument("--words", metavar="COLUMN", help="of words")
    parser.add_argument("--tags", metavar="COLUMN", help="of universal tags, one per word")
    parser.add_argument("--out", metavar="FILE", type=Path, help=".csv or .jsonl; else printed")
    parser.add_argument(
        "--cut", action="store_true", help="cut longer texts than the model reads, as in training"
    )


def run(arguments: argparse.Namespace) -> None:
    """Write the predictions as they come."""
    from ggsa.cli.predicting import Columns, predict_file

    columns = Columns(arguments.text, arguments.words, arguments.tags)
    predict_file(arguments.model, arguments.file, arguments.out, columns, arguments.cut)
