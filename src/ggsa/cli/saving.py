"""What a pattern would save on a model of given sizes: in theory, and in measured time.

Place in the data flow: reads the density that the rules stage counted and the published benchmark;
writes nothing. `ggsa.evaluation.cost` has the formulas.
"""

from typing import NamedTuple

import pandas as pd

from ggsa.evaluation import cost
from ggsa.workspace import paths
from ggsa.workspace.errors import UserError, unknown
from ggsa.workspace.tables import read_table


class Saving(NamedTuple):
    """What a pattern saves on one text.

    Attributes:
        density: Allowed pairs over all pairs.
        full_attention_flops: Of full attention, over all layers.
        attention_share: These over the whole model's FLOPs.
        saving_model: Share of the whole model's FLOPs that is saved.
        said: Where the density comes from, and what was measured, in sentences.
    """

    density: float
    full_attention_flops: float
    attention_share: float
    saving_model: float
    said: str


def saving(
    length: int,
    layers: int,
    hidden: int,
    feed_forward: int | None = None,
    mode: str = "hard",
    density: float | None = None,
) -> Saving:
    """Return what a pattern saves on one text.

    Args:
        length: Of the text, in word pieces, special tokens included.
        layers: Of the model.
        hidden: Its width.
        feed_forward: Its inner width; None is four times the width.
        mode: Whose density is taken.
        density: Allowed pairs over all pairs, in place of a mode's.

    Raises:
        UserError: If a size is not positive, the density is no share, or the mode was not counted.
    """
    inner = 4 * hidden if feed_forward is None else feed_forward
    sizes = {"length": length, "layers": layers, "hidden": hidden, "feed-forward": inner}
    for name, value in sizes.items():
        if value < 1:
            raise UserError(f"--{name} is {value}; it has to be 1 or more.")
    if density is not None and not 0 < density <= 1:
        raise UserError(f"--density is {density}; allowed over all pairs lies in 0 to 1.")
    source = "The density is the one given."
    if density is None:
        density, source = _counted(mode)
    model = cost.Architecture(layers, hidden, inner)
    pairs = length**2
    full = cost.model_flops(length, 1, pairs, model)
    attention = cost.attention_flops(pairs, model)
    return Saving(
        density=density,
        full_attention_flops=attention,
        attention_share=attention / full,
        saving_model=1 - cost.model_flops(length, 1, density * pairs, model) / full,
        said=f"{source} FLOPs are counted, not timed. {measured(length)}",
    )


def _counted(mode: str) -> tuple[float, str]:
    """Return the density of a mode on the training split, and where it was counted."""
    path = paths.RULES / "statistics" / "density.csv"
    table = read_table(path, ("mode", "split", "density"))
    rows = table[(table["mode"] == mode) & (table["split"] == "train")]
    if rows.empty:
        there = list(dict.fromkeys(table["mode"]))
        raise UserError(
            f"--mode: {unknown(mode, 'mode of the last run', there)} Or give --density."
        )
    return float(
        rows["density"].iloc[0]
    ), f"The density is {mode}'s on the training split ({path})."


def measured(length: int) -> str:
    """Return what the published benchmark measured at the nearest length, in a sentence."""
    path = paths.BENCHMARK / "results.csv"
    if not path.is_file():
        return "No time was measured here: `make bench` does."
    table = pd.read_csv(path)
    rows = table[
        (table["benchmark"] == "attention")
        & (table["ours"] == "hard, grouped")
        & (table["peer"] == "full")
        & (table["direction"] == "forward and backward")
        & (table["heads"] == 12)
        & (table["batch"] == 1)
        & (table["threads"] == 1)
        & (table["tags"] == "joined sentences")
    ]
    if rows.empty:
        return "No time was measured here: `make bench` does."
    row = rows.loc[(rows["length"] - length).abs().idxmin()]
    return (
        f"Measured on one CPU thread, 12 heads, forward and backward, at {int(row['length']):,} "
        f"pieces: the hard table's attention took {row['ratio']:.2f} x the time of full attention "
        f"({row['ratio_low']:.2f} to {row['ratio_high']:.2f}), its density being {row['limit']:.2f}."
    )
