"""Write a trained run as a Hugging Face folder with a model card.

The folder loads with `ggsa.load` and, as a stock model, with transformers.

Example::

  ggsa export runs/core/hard-42 hard-42-exported
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", metavar="RUN", help="a trained run, e.g. runs/core/hard-42")
    parser.add_argument("folder", metavar="FOLDER", help="new or empty")


def run(arguments: argparse.Namespace) -> None:
    """Write the folder and print its path."""
    from ggsa.cli.exporting import export

    print(f"Written: {export(arguments.model, arguments.folder).resolve()}")
