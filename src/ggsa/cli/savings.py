"""What a pattern would save on a model of given sizes: in theory, and in measured time.

Reads the density that the stage `rules` counted and the published benchmark; writes nothing.
`ggsa.evaluation.cost` has the formulas, `benchmarks/` what was timed.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from ggsa.evaluation import cost
from ggsa.workspace import paths
from ggsa.workspace.errors import UserError, unknown
from ggsa.workspace.tables import read_csv, read_table

HEAD_WIDTH = 64
"""Width of the heads that the benchmark times."""

NEAR = 0.1
"""Largest difference of the densities at which the times of a table are quoted for another one."""


class Savings(NamedTuple):
    """What a pattern saves on one text.

    Attributes:
        density: Allowed pairs over all pairs.
        full_attention_flops: FLOPs of full attention, over all layers.
        attention_share: Those over the whole model's FLOPs.
        saving_model: Share of the whole model's FLOPs that is saved.
        note: Where the density comes from and what was measured, in sentences.
    """

    density: float
    full_attention_flops: float
    attention_share: float
    saving_model: float
    note: str


def savings(
    length: int,
    layers: int,
    hidden: int,
    feed_forward: int | None = None,
    mode: str = "hard",
    density: float | None = None,
    heads: int | None = None,
    words: int | None = None,
) -> Savings:
    """Return what a pattern saves on one text.

    Args:
        length: Length of the text in word pieces, special tokens included.
        layers: Number of layers.
        hidden: Width of the model.
        feed_forward: Inner width of the feed-forward layers; None is four times the width.
        mode: Mode whose density on the training split is used.
        density: Allowed pairs over all pairs, instead of a mode's; then no time is quoted.
        heads: Number of heads; None is one for every 64 of the width.
        words: Words to tag; None is one for every piece except the two special tokens.

    Raises:
        UserError: If a size is not positive, the density is not in (0, 1], the mode is unknown, or
            the text has more words than pieces.
    """
    inner = 4 * hidden if feed_forward is None else feed_forward
    sizes = {"length": length, "layers": layers, "hidden": hidden, "feed_forward": inner}
    for name, value in (sizes | {"heads": heads}).items():
        if value is not None and value < 1:
            raise UserError(f"{name}: expected an integer >= 1, got {value}.")
    if density is not None and not 0 < density <= 1:
        raise UserError(
            f"density: expected allowed over all pairs, above 0 and at most 1, got {density}."
        )
    most = max(length - 2, 0)
    if words is not None and not 1 <= words <= most:
        raise UserError(
            f"words: expected 1 to {most:,}, the pieces of the text without [CLS] and [SEP], got "
            f"{words:,}."
        )
    heads = max(1, hidden // HEAD_WIDTH) if heads is None else heads
    if density is None:
        density, source = _counted(mode)
        time = timed(length, layers, heads, hidden, mode, density, words or most)
    else:
        source = "The density is the given one."
        time = "No time is quoted: tables of modes were timed, not a density."
    model = cost.Architecture(layers, hidden, inner)
    pairs = length**2
    full = cost.model_flops(length, 1, pairs, model)
    attention = cost.attention_flops(pairs, model)
    return Savings(
        density=density,
        full_attention_flops=attention,
        attention_share=attention / full,
        saving_model=1 - cost.model_flops(length, 1, density * pairs, model) / full,
        note=f"{source} FLOPs are counted, not timed.\n{time}",
    )


def _counted(mode: str) -> tuple[float, str]:
    """Return the density of a mode on the training split, and where it was counted."""
    path = paths.RULES / "statistics" / "density.csv"
    table = read_table(path, ("mode", "split", "density"))
    rows = table[(table["mode"] == mode) & (table["split"] == "train")]
    if rows.empty:
        counted = list(dict.fromkeys(table["mode"]))
        raise UserError(
            f"mode: {unknown(mode, 'mode of the last run', counted)} Or give a density."
        )
    note = f"The density is {mode}'s on the training split ({path})."
    return float(rows["density"].iloc[0]), note


class NotMeasured(Exception):
    """The published benchmark has no time to quote; the message says why, as a sentence."""


class Seconds(NamedTuple):
    """Seconds of one layer's attention on one text, on one CPU thread.

    Attributes:
        ours: Under the pattern, as the implementation `auto` computes it, planning included.
        full: Over all pairs.
        density: Of the pattern where it was timed.
    """

    ours: float
    full: float
    density: float


def timed(
    length: int, layers: int, heads: int, hidden: int, mode: str, density: float, words: int
) -> str:
    """Return the measured time and the net seconds of one text, or why there are none.

    Times are interpolated between measured lengths and numbers of heads, and never extrapolated.
    """
    path = paths.BENCHMARK / "results.csv"
    if not path.is_file():
        return "No time was measured here; `make bench` measures it."
    table = read_csv(path)
    if hidden != HEAD_WIDTH * heads:
        return (
            f"No time is quoted: heads of width {HEAD_WIDTH} were timed, and {heads:,} of them "
            f"make a width of {HEAD_WIDTH * heads:,}, not {hidden:,}."
        )
    try:
        forward, both = (
            seconds(table, mode, direction, length, heads, density)
            for direction in ("forward", "forward and backward")
        )
    except NotMeasured as error:
        return f"No time is quoted: {error}"
    attention = layers * (forward.full - forward.ours)
    speed = table.loc[table["benchmark"] == "tagging", "value_ours"].iloc[0]
    tagging = words / speed
    net = attention - tagging
    return (
        f"Measured on one CPU thread with {heads:,} heads, at density {forward.density:.2f}: "
        f"attention under {mode} takes {forward.ours / forward.full:.2f} x the time of full "
        f"attention in a forward pass, {both.ours / both.full:.2f} x with the backward pass.\n"
        f"Net for one sentence in a forward pass: {abs(net):.2g} s "
        f"{'saved' if net > 0 else 'lost'} ({abs(attention):.2g} s "
        f"{'saved' if attention > 0 else 'lost'} in the attention of {layers:,} layers, "
        f"{tagging:.2g} s for tagging {words:,} words)."
    )


def seconds(
    table: pd.DataFrame, mode: str, direction: str, length: int, heads: int, density: float
) -> Seconds:
    """Return the seconds of one layer's attention, between measured lengths and numbers of heads.

    Seconds are interpolated as powers of the length and linearly in the heads.

    Args:
        table: The published benchmark.
        mode: Of the pattern.
        direction: `forward`, or `forward and backward`.
        length: Of the text, in word pieces.
        heads: Of the layer.
        density: Of the pattern here; a table of another density is another pattern.

    Raises:
        NotMeasured: If one of them is outside of what was measured.
    """
    rows = table[
        (table["benchmark"] == "attention")
        & (table["direction"] == direction)
        & (table["batch"] == 1)
        & (table["threads"] == 1)
        & (table["tags"] == "joined sentences")
    ]
    at = ["heads", "length"]
    grouped = rows[(rows["case"] == mode) & (rows["ours"] == f"{mode}, grouped")].set_index(at)
    auto = rows[(rows["case"] == mode) & (rows["ours"] == f"{mode}, auto")].set_index(at)
    measured = pd.DataFrame(
        {"ours": auto["value_ours"], "full": grouped["value_peer"], "density": grouped["limit"]}
    ).dropna()
    if measured.empty:
        modes = ", ".join(dict.fromkeys(rows["case"]))
        raise NotMeasured(f"{modes} was timed ({direction}), not {mode}.")
    counts = sorted(measured.index.unique("heads"))
    if not counts[0] <= heads <= counts[-1]:
        raise NotMeasured(
            f"{counts[0]:.0f} to {counts[-1]:.0f} heads were timed for {mode}, not {heads:,}."
        )
    by_heads = []
    for count in counts:
        part = measured.loc[count].sort_index()
        shortest, longest = part.index[0], part.index[-1]
        if not shortest <= length <= longest:
            raise NotMeasured(
                f"texts of {shortest:,.0f} to {longest:,.0f} word pieces were timed for {mode}, "
                f"not of {length:,}."
            )
        place, known = np.log(length), np.log(part.index.to_numpy())
        by_heads.append(
            [
                *(np.exp(np.interp(place, known, np.log(part[name]))) for name in ("ours", "full")),
                np.interp(place, known, part["density"]),
            ]
        )
    found = Seconds(
        *(float(np.interp(heads, counts, column)) for column in zip(*by_heads, strict=True))
    )
    if abs(found.density - density) > NEAR:
        raise NotMeasured(
            f"{mode} was timed at density {found.density:.2f} for this length, and it is "
            f"{density:.2f} here."
        )
    return found
