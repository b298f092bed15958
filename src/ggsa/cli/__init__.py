"""The command `ggsa`: one sentence, one model, one file, outside the pipeline.

One module for each command, which adds its arguments and prints what one call of the package
returns. A user's mistake ends in one paragraph on the terminal and a non-zero exit.
"""

import argparse
import os
import sys

from ggsa.cli import cost, explain, export, predict, rules, verify
from ggsa.workspace.errors import UserError

COMMANDS = (explain, predict, rules, cost, export, verify)


def main(arguments: list[str] | None = None) -> None:
    """Run the command that the command line names."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    parsed = parser().parse_args(arguments)
    try:
        parsed.run(parsed)
    except UserError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Nothing that was there before has changed.")
    except BrokenPipeError:  # `ggsa ... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, with every command."""
    root = argparse.ArgumentParser(
        prog="ggsa",
        description="Grammatically guided sparse attention: one sentence, one model, one file.",
    )
    found = root.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        name = command.__name__.rsplit(".", 1)[-1]
        about, _, example = (command.__doc__ or "").partition("\n\nExample::\n\n")
        one = found.add_parser(
            name,
            help=about.splitlines()[0].rstrip("."),
            description=about,
            epilog=f"example:\n{example.rstrip()}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(one)
        one.set_defaults(run=command.run)
    return root
