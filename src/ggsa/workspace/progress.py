"""How far a long stage has come: a bar on a terminal, a line a minute in a log.

Place in the data flow: none; called by whatever takes long, and decides no number. A log (where
standard error is no terminal) would hold a bar as thousands of lines, or as one without end.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self, TypeVar

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 60.0
Item = TypeVar("Item")
_open: list[tqdm] = []


class Lines:
    """Stands for a bar where there is no terminal; has those methods of tqdm that are used here."""

    def __init__(
        self,
        name: str,
        total: int | None,
        unit: str,
        done: int = 0,
        clock: Callable = time.monotonic,
    ):
        """Start counting; see `bar`."""
        self.name, self.total, self.unit = name, total, unit
        self.done = self._done_before = done
        self._clock = clock
        self._file = sys.stderr
        self._started = self._said = clock()

    def update(self, count: int = 1) -> None:
        """Count what was done, and say so if a minute has passed."""
        self.done += count
        now = self._clock()
        if now - self._said < SECONDS_BETWEEN_LINES or self.done == self.total:
            return
        self._said = now
        seconds = now - self._started
        if self.total is None:
            self._say(f"after {duration(seconds)}")
            return
        left = seconds / (self.done - self._done_before) * (self.total - self.done)
        self._say(f"{100 * self.done / self.total:.0f}%, {duration(left)} left")

    def set_postfix_str(self, text: str) -> None:
        """Do nothing: what a bar tells besides is too much for a log."""

    def close(self) -> None:
        """Say what it took, if that was long enough for a line."""
        seconds = self._clock() - self._started
        if seconds >= SECONDS_BETWEEN_LINES:
            self._say(f"in {duration(seconds)}")

    def _say(self, rest: str) -> None:
        count = f"{self.done:,}" if self.total is None else f"{self.done:,} of {self.total:,}"
        print(f"{self.name}: {count} {self.unit}s, {rest}", file=self._file, flush=True)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close, unless something went wrong."""
        if exception[0] is None:
            self.close()


def progress_bar(name: str, total: int | None, unit: str, done: int = 0) -> Any:
    """Return a bar with the time left on a terminal, `Lines` elsewhere.

    Args:
        name: What is done, as `train hard-42`.
        total: Units until the end; None where nobody knows.
        unit: In the singular.
        done: Units that an earlier run did.
    """
    if not sys.stderr.isatty():
        return Lines(name, total, unit, done)
    shown = tqdm(
        total=total,
        initial=done,
        desc=name,
        unit=unit,
        unit_scale=(total or 0) >= 100_000,
        file=sys.stderr,
        mininterval=0.5,
        dynamic_ncols=True,
    )
    _open.append(shown)
    return shown


def close_bars() -> None:
    """Close the bars that are open, so that the last words of a stage stand below them."""
    for shown in _open:
        shown.close()


def track(items: Iterable[Item], total: int | None, name: str, unit: str) -> Iterator[Item]:
    """Yield items, and show how many are done."""
    with progress_bar(name, total, unit) as shown:
        for item in items:
            yield item
            shown.update()


def duration(seconds: float) -> str:
    """Return a time in words: `41 s`, `3 min 20 s`, `1 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
