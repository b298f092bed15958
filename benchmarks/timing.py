"""The lines of the result, from times that `ggsa.training.timing` took."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ggsa.training.timing import ratio

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
