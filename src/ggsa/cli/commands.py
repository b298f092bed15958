"""The parser of the command line, and what runs the command that it names.

Each command is one module, which adds its arguments and prints what one call of the package
returns. A user's error ends in one paragraph on the terminal and a non-zero exit status.
"""

import argparse
import os
import sys

from ggsa.cli import cost, explain, export, predict, rules, verify
from ggsa.workspace import artifacts, terminal
from ggsa.workspace.errors import UserError

COMMANDS = (explain, predict, rules, cost, export, verify)


def main(arguments: list[str] | None = None) -> None:
    """Run the command that the command line names."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    terminal.accept_any_character()
    try:
        parsed = parser().parse_args(arguments)
        with artifacts.disk_errors():
            parsed.run(parsed)
    except UserError as error:
        sys.exit(str(error))
    except ModuleNotFoundError as error:
        if (error.name or "ggsa").partition(".")[0] == "ggsa":  # ours, or not about a module
            raise
        sys.exit(
            f"This command needs {error.name}, which is not installed. Install the extra: "
            f"pip install 'ggsa[pipeline]'"
        )
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. No existing file has changed.")
    except BrokenPipeError:  # `ggsa ... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, with every command."""
    root = argparse.ArgumentParser(
        prog="ggsa",
        description="Grammatically guided sparse attention: one sentence, one model, one file.",
    )
    subparsers = root.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        name = command.__name__.rsplit(".", 1)[-1]
        about, _, example = (command.__doc__ or "").partition("\n\nExample::\n\n")
        subparser = subparsers.add_parser(
            name,
            help=about.splitlines()[0].rstrip("."),
            description=about,
            epilog=f"example:\n{example.rstrip()}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return root
