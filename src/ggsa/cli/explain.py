"""Show which tokens of a sentence may attend to which, under every mode, and what that costs.

With --run it also shows what a trained model predicts and what it attends to. Requires a finished
`make repro`, whose tagger and patterns it uses.

Example::

  ggsa explain "The plot is thin, but the acting is not bad at all."
  ggsa explain --run runs/core/hard-42 --out page.html "A clumsy script wastes two funny actors."
"""

import argparse
from pathlib import Path

from ggsa.workspace.terminal import text_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "sentence", metavar="SENTENCE", type=text_argument, help="raw text, in quotes"
    )
    parser.add_argument("--run", dest="model", metavar="RUN", help="a trained run or an export")
    parser.add_argument("--tags", help='instead of the tagger\'s, e.g. "DET NOUN AUX ADJ"')
    parser.add_argument("--out", type=Path, metavar="FILE", help="a picture: .html or .png")


def run(arguments: argparse.Namespace) -> None:
    """Print the explanation, and draw it if a file is named."""
    from ggsa.cli import picture
    from ggsa.cli.explaining import explain, text

    if arguments.out is not None:
        picture.check_suffix(arguments.out)
    tags = None if arguments.tags is None else arguments.tags.split()
    explanation = explain(arguments.sentence, arguments.model, tags)
    print(text(explanation))
    if arguments.out is not None:
        picture.write(explanation, arguments.out)
        print(f"\nWritten: {arguments.out.resolve()}")
