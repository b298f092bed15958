"""Classify the sentences of a CSV or JSON lines file.

Adds the columns `prediction` and `probability_CLASS` to every row. Sentences come from the column
`words` (a list, or words separated by spaces) or `text` (raw). Tags come from the column `tags`; if
there is none, the project's tagger tags the words. A row without words gets an empty prediction.
Prints to standard error what the model was trained on, how many words of the file it does not know,
and its accuracy where the file has labels.

Example::

  ggsa predict --run runs/core/hard-42 reviews.csv --text review --out predicted.csv
"""

import argparse
import functools
from pathlib import Path

from ggsa.workspace.terminal import text_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "file", metavar="FILE", type=Path, help=".csv or .tsv with a header, or .jsonl"
    )
    parser.add_argument("--run", dest="model", metavar="RUN", required=True, help="a trained run")
    column = functools.partial(parser.add_argument, metavar="COLUMN", type=text_argument)
    column("--text", help="column of raw text")
    column("--words", help="column of words")
    column("--tags", help="column of universal tags, one per word")
    column("--label", help="column of true classes, for the accuracy; default: label, if it exists")
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help=".csv or .jsonl; printed if omitted"
    )
    parser.add_argument(
        "--cut",
        action="store_true",
        help="truncate texts longer than the model reads, as in training",
    )
    parser.add_argument(
        "--strict", action="store_true", help="stop at a row without words, not skip it"
    )


def run(arguments: argparse.Namespace) -> None:
    """Write the predictions, chunk by chunk."""
    from ggsa.cli.predicting import Columns, predict_file

    columns = Columns(arguments.text, arguments.words, arguments.tags, arguments.label)
    predict_file(
        arguments.model, arguments.file, arguments.out, columns, arguments.cut, arguments.strict
    )
