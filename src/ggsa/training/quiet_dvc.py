"""DVC's command without the messages that do not apply here, as `python -m ggsa.training.quiet_dvc`.

DVC warns about every output of a stage that never ran, such as those of other studies, and after an
experiment it advises `dvc exp apply`, which fails because of them.
"""

import logging
import sys

from dvc.cli import main
from dvc.ui import ui

from ggsa.workspace import terminal

UNTRAINED = "No file hash info found"


def _is_useful(record: logging.LogRecord) -> bool:
    """Return whether a log record is not about an output of a stage that never ran."""
    return not record.getMessage().startswith(UNTRAINED)


if __name__ == "__main__":
    terminal.accept_any_character()
    for module in ("index", "hashfile"):
        logging.getLogger(f"dvc_data.{module}.checkout").addFilter(_is_useful)
    ui.enable = lambda: None  # what is printed through it is advice; log messages are not
    sys.exit(main(sys.argv[1:]))
