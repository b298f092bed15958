"""The stages of dvc.yaml, one script each, and what they share: how they start and how they fail.

`dvc repro` runs each as `python3 -m stages.<name>`. A user's mistake ends in one paragraph on the
terminal; a traceback means a defect of this project.
"""

import argparse
import importlib.util
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from ggsa.workspace.config import Params

NEEDED = ("pydantic", "torch", "transformers", "stanza", "datasets", "pandas", "papermill")

_absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
if _absent:
    sys.exit(
        f"This stage wants the project's environment: {sys.executable} lacks {', '.join(_absent)}. "
        "Run `make setup` once, then `source .venv/bin/activate`; or `make repro`, which does both."
    )

# One line of noise per model that is loaded or saved says nothing of this pipeline.
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
# Set before any tokenizer is made: a tokenizer that was used and then forked only warns.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


def _say_last_words(kind: type, error: BaseException, traceback: "TracebackType | None") -> None:
    """Print a sentence where Ctrl-C would print a traceback, be it that modules still load."""
    if not issubclass(kind, KeyboardInterrupt):
        return sys.__excepthook__(kind, error, traceback)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # impatience shall not cut the sentence short
    from ggsa.workspace import interruption
    from ggsa.workspace.progress import close_bars

    close_bars()
    print(f"\n{interruption.last_words()}\n", file=sys.stderr)


sys.excepthook = _say_last_words
if multiprocessing.parent_process():
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a process that tags: its parent will say it


def run(main: Callable[[], None]) -> None:
    """Run a stage; print a user's mistake as a sentence, and exit non-zero."""
    from ggsa.workspace.errors import UserError

    started = time.monotonic()
    try:
        main()
        _note_seconds(time.monotonic() - started)
    except UserError as error:
        sys.exit(f"\n{error}\n")


def _note_seconds(seconds: float) -> None:
    """Add what a stage took, and when it ended, to .cache/stages.csv.

    No output of a stage may hold a wall-clock time.
    """
    from ggsa.workspace import paths

    paths.STAGE_SECONDS.parent.mkdir(exist_ok=True)
    name = " ".join([Path(sys.argv[0]).stem, *sys.argv[1:]]).replace(",", " ")
    with paths.STAGE_SECONDS.open("a", encoding="utf-8") as file:
        file.write(f"{name},{seconds:.1f},{time.time():.0f}\n")


def base_params(description: str | None) -> "Params":
    """Return params.yaml, with the changes of the base that `--base` names on the command line."""
    from ggsa.workspace import config

    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--base", help="assets of studies/assets/params.yaml")
    base = parser.parse_args().base
    return config.load(overrides=config.base_overrides(base) if base else None)
