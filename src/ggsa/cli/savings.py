"""What a pattern would save on a model of given sizes: in theory, and in measured time.

Reads the density that the stage `rules` counted and the published benchmark; writes nothing.
`ggsa.evaluation.cost` has the formulas.
"""

from typing import NamedTuple

from ggsa.evaluation import cost
from ggsa.workspace import paths
from ggsa.workspace.errors import UserError, unknown
from ggsa.workspace.tables import read_csv, read_table


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
) -> Savings:
    """Return what a pattern saves on one text.

    Args:
        length: Length of the text in word pieces, special tokens included.
        layers: Number of layers.
        hidden: Width of the model.
        feed_forward: Inner width of the feed-forward layers; None is four times the width.
        mode: Mode whose density on the training split is used.
        density: Allowed pairs over all pairs, instead of a mode's.

    Raises:
        UserError: If a size is not positive, the density is not in (0, 1], or the mode is unknown.
    """
    inner = 4 * hidden if feed_forward is None else feed_forward
    sizes = {"length": length, "layers": layers, "hidden": hidden, "feed_forward": inner}
    for name, value in sizes.items():
        if value < 1:
            raise UserError(f"{name}: expected an integer >= 1, got {value}.")
    if density is not None and not 0 < density <= 1:
        raise UserError(
            f"density: expected allowed over all pairs, above 0 and at most 1, got {density}."
        )
    source = "The density is the given one."
    if density is None:
        density, source = _counted(mode)
    model = cost.Architecture(layers, hidden, inner)
    pairs = length**2
    full = cost.model_flops(length, 1, pairs, model)
    attention = cost.attention_flops(pairs, model)
    return Savings(
        density=density,
        full_attention_flops=attention,
        attention_share=attention / full,
        saving_model=1 - cost.model_flops(length, 1, density * pairs, model) / full,
        note=f"{source} FLOPs are counted, not timed. {measured(length)}",
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


def measured(length: int) -> str:
    """Return what the published benchmark measured at the nearest length, in a sentence."""
    path = paths.BENCHMARK / "results.csv"
    if not path.is_file():
        return "No time was measured here; `make bench` measures it."
    table = read_csv(path)
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
        return "No time was measured here; `make bench` measures it."
    row = rows.loc[(rows["length"] - length).abs().idxmin()]
    return (
        f"Measured on one CPU thread, 12 heads, forward and backward, at {int(row['length']):,} "
        f"pieces: the hard table's attention took {row['ratio']:.2f} x the time of full attention "
        f"({row['ratio_low']:.2f} to {row['ratio_high']:.2f}) at density {row['limit']:.2f}."
    )
