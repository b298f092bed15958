"""What the scripts of dvc.yaml's stages share: how a stage starts, and how it fails.

`dvc repro` runs each as `python3 -m stages.<name>`. An error that the user can fix is printed as one
paragraph; a traceback means a bug in this project.
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
from types import TracebackType

REQUIRED = (
    "pydantic",
    "torch",
    "transformers",
    "stanza",
    "datasets",
    "pandas",
    "papermill",
    "tqdm",
)

_missing = [name for name in REQUIRED if importlib.util.find_spec(name) is None]
if _missing:
    sys.exit(
        f"This stage needs the project's environment, but {sys.executable} lacks "
        f"{', '.join(_missing)}. Run `make setup` once and then `source .venv/bin/activate`, or run "
        "`make repro`, which does both."
    )

# These imports need the environment that was just checked.
from ggsa.workspace import artifacts, paths, terminal  # noqa: E402
from ggsa.workspace.errors import UserError  # noqa: E402
from ggsa.workspace.progress import close_bars, interrupt_message  # noqa: E402

# Without it, every model that is loaded or saved prints a progress bar.
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
# Set before any tokenizer exists: a tokenizer that was used before a fork only prints a warning.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


def _report_interrupt(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Print a sentence instead of a traceback after Ctrl-C, even while modules are imported."""
    if not issubclass(kind, KeyboardInterrupt):
        return sys.__excepthook__(kind, error, traceback)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not cut the sentence off
    close_bars()
    print(f"\n{interrupt_message()}\n", file=sys.stderr)


sys.excepthook = _report_interrupt
if multiprocessing.parent_process():
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a worker: its parent prints the sentence

# After the hook, because pydantic takes long enough to import that Ctrl-C may arrive meanwhile.
from ggsa.workspace import config  # noqa: E402


def run(main: Callable[[], None]) -> None:
    """Run a stage; on a `UserError`, print its message and exit with status 1."""
    terminal.accept_any_character()
    started = time.monotonic()
    try:
        with artifacts.disk_errors():
            main()
            _record_seconds(time.monotonic() - started)
    except UserError as error:
        sys.exit(f"\n{error}\n")


def _record_seconds(seconds: float) -> None:
    """Append a stage's duration and end time to .cache/stages.csv; its outputs hold no times."""
    paths.STAGE_SECONDS.parent.mkdir(exist_ok=True)
    name = " ".join([Path(sys.argv[0]).stem, *sys.argv[1:]]).replace(",", " ")
    with paths.STAGE_SECONDS.open("a", encoding="utf-8") as file:
        file.write(f"{name},{seconds:.1f},{time.time():.0f}\n")


def base_params(description: str | None) -> config.Params:
    """Return params.yaml, with the overrides of the base that `--base` names, if any."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--base", help="a base of studies/assets/params.yaml")
    base = parser.parse_args().base
    return config.load(overrides=config.base_overrides(base) if base else None)
