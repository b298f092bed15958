"""Interleaved timing, where contestants take turns; a call's peak memory; and the lines of the result."""

import ctypes
import platform
import random
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch

FEWEST_ROUNDS, MOST_ROUNDS = 5, 60
COLUMNS = (
    *("benchmark", "case", "length", "batch", "heads", "tags", "direction", "threads"),
    *("ours", "peer", "unit", "value_ours", "value_peer", "ratio", "ratio_low", "ratio_high"),
    *("rounds", "limit", "realised"),
)
"""A line of the result.

`value_ours` and `value_peer` are medians, in `unit`. `ratio` is the median over rounds of our time over the peer's, `ratio_low` and `ratio_high` are its
quartiles. `limit` is the ratio that theory allows, the share of pairs that are computed; `realised`
is the share of the theoretical saving that is kept, `(1 - ratio) / (1 - limit)`.
"""


def line(
    times: Mapping[str, np.ndarray], ours: str, peer: str, limit: float | None = None, **about: Any
) -> dict[str, Any]:
    """Return one line of the result.

    Args:
        times: From `interleaved`.
        ours: Whose time is the numerator.
        peer: Whose is the denominator.
        limit: Ratio that theory allows; None where there is no such.
        about: Values of the first columns.
    """
    low, middle, high = ratio(times[ours], times[peer])
    realised = (1 - middle) / (1 - limit) if limit is not None and limit < 1 else np.nan
    return {
        **dict.fromkeys(COLUMNS, np.nan),
        **about,
        "ours": ours,
        "peer": peer,
        "unit": "seconds",
        "value_ours": float(np.median(times[ours])),
        "value_peer": float(np.median(times[peer])),
        "ratio": middle,
        "ratio_low": low,
        "ratio_high": high,
        "rounds": len(times[ours]),
        "limit": np.nan if limit is None else limit,
        "realised": realised,
    }


def table(lines: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return lines as a table in the order of `COLUMNS`."""
    return pd.DataFrame(list(lines), columns=list(COLUMNS))


def show(rows: pd.DataFrame) -> None:
    """Print a table, without the columns that say nothing."""
    told = rows.dropna(axis="columns", how="all")
    print(told.to_string(index=False, float_format=lambda value: f"{value:.4g}"), flush=True)


def interleaved(
    contestants: Mapping[str, Callable[[], Any]],
    seconds: float,
    fewest: int = FEWEST_ROUNDS,
    warm_up: bool = True,
) -> dict[str, np.ndarray]:
    """Return wall-clock seconds of every contestant in every round, `[round]`.

    Args:
        contestants: What to run, by name.
        seconds: About how long to go on for, once the fewest rounds are done.
        fewest: Rounds at least.
        warm_up: Whether each is run once unmeasured first; calls of many seconds need none.
    """
    order = list(contestants)
    stream = random.Random(13)
    for name in order if warm_up else ():
        contestants[name]()
    times: dict[str, list[float]] = {name: [] for name in order}
    end = time.perf_counter() + seconds
    while len(times[order[0]]) < fewest or (
        time.perf_counter() < end and len(times[order[0]]) < MOST_ROUNDS
    ):
        stream.shuffle(order)
        for name in order:
            started = time.perf_counter()
            contestants[name]()
            times[name].append(time.perf_counter() - started)
    return {name: np.array(values) for name, values in times.items()}


def ratio(ours: np.ndarray, peer: np.ndarray) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile of one time over another.

    Args:
        ours: Seconds in every round, `[round]`.
        peer: The same of the other contestant, in the same rounds.
    """
    low, middle, high = np.quantile(ours / peer, (0.25, 0.5, 0.75))
    return float(low), float(middle), float(high)


def peak_mib(call: Callable[[], Any]) -> float:
    """Return by how much this process's memory rose at its highest during a call, in MiB.

    The kernel's high-water mark is set back before the call (Linux, proc(5), `clear_refs`); NaN where
    there is no such mark. Free heap is given back first: the call could use it without a trace.
    """
    process = Path("/proc/self")
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
        if trim:
            trim(0)
    try:
        (process / "clear_refs").write_text("5")
        before = _status(process, "VmRSS")
        call()
        return (_status(process, "VmHWM") - before) / 1024
    except OSError:
        call()
        return float("nan")


def high_water_mib() -> float:
    """Return the largest memory that this process had so far, in MiB; NaN where it is unknown."""
    try:
        return _status(Path("/proc/self"), "VmHWM") / 1024
    except OSError:
        return float("nan")


def machine() -> dict[str, Any]:
    """Return what the times were taken on."""
    return {
        "processor": _processor(),
        "cores": joblib.cpu_count(),
        "torch": torch.__version__.partition("+")[0],
        "python": platform.python_version(),
    }


def _processor() -> str:
    """Return the processor's name, as the system gives it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _status(process: Path, field: str) -> int:
    """Return a field of a process's status, in KiB."""
    found = re.search(rf"^{field}:\s+(\d+) kB", (process / "status").read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"{process}/status holds no {field}")
    return int(found[1])
