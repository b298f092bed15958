"""Progress of long work, and the message that an interrupted stage prints.

On a terminal, progress is a bar. In a log (standard error is not a terminal) it is a line a minute.
Nothing here affects a result.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 60.0
Item = TypeVar("Item")
_bars: list[tqdm] = []
_interrupted = {"kept": "Finished work is kept."}


class LogLines(tqdm):
    """tqdm's text on a line of its own each time; tqdm itself would overwrite one endless line."""

    def __init__(self, **options: Any):
        """Start counting; print nothing during the first minute, then at most a line a minute."""
        super().__init__(
            **options,
            ncols=0,  # no bar, only the numbers
            delay=SECONDS_BETWEEN_LINES,
            mininterval=SECONDS_BETWEEN_LINES,
            miniters=1,  # look at the clock at every step: their length varies
        )

    def display(self, *_: Any, **__: Any) -> None:
        """Print the progress; `close`, which disables first, ends the last line itself."""
        self.fp.write(str(self) if self.disable else f"{self}\n")

    def set_postfix_str(self, s: str = "", refresh: bool = False) -> None:
        """Add text to the next line instead of printing one now."""
        super().set_postfix_str(s, refresh=False)


def progress_bar(
    name: str, total: int | None, unit: str, done: int = 0, hidden: bool = False
) -> tqdm:
    """Return a progress bar, which prints lines where standard error is not a terminal.

    Args:
        name: Description of the work, such as `train hard-42`.
        total: Number of units, or None if unknown.
        unit: Name of a unit, in the singular.
        done: Units finished by an earlier run.
        hidden: Print nothing.
    """
    options: dict[str, Any] = {
        "total": total,
        "initial": done,
        "desc": name,
        "unit": unit,
        "unit_scale": (total or 0) >= 100_000,
        "file": sys.stderr,
        "disable": hidden,
    }
    if sys.stderr.isatty():
        bar = tqdm(**options, mininterval=0.5, dynamic_ncols=True)
    else:
        bar = LogLines(**options)
    _bars.append(bar)
    return bar


def close_bars() -> None:
    """Close every open bar, so that what is printed next starts on its own line."""
    for bar in _bars:
        bar.close()


def track(items: Iterable[Item], total: int | None, name: str, unit: str) -> Iterator[Item]:
    """Yield the items and show how many are done; see `progress_bar` for the arguments."""
    with progress_bar(name, total, unit) as bar:
        for item in items:
            yield item
            bar.update()


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep transformers from listing the parameters that a checkpoint lacks.

    A new classification head is always among them.
    """
    from transformers import logging  # slow to import, and most of the workspace has no model

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def note_kept(sentence: str) -> None:
    """Set the sentence that says what is kept if the stage is interrupted from now on."""
    _interrupted["kept"] = sentence


def interrupt_message() -> str:
    """Return what an interrupted stage prints: what is kept, and how to continue."""
    return f"Interrupted. {_interrupted['kept']} To continue, run the same command again."


def counted(number: int, noun: str) -> str:
    """Return a number of things in words: `1 row`, `1,250 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a time in words: `41 s`, `3 min 20 s`, `1 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
