"""The chapter on the theoretical cost of attention under each pattern."""

import matplotlib.pyplot as plt
import pandas as pd

from ggsa.report import style, tables, wording
from ggsa.report.sections import Material, modes_of, paragraph

LINES = ("-", "--", ":", "-.")


def formula(material: Material) -> str:
    """Return the formula of the theoretical cost, as text and HTML."""
    return (
        "<p>Theoretical cost counts multiplications and additions, two for each multiply-add, of "
        "one forward pass. With <i>n</i> word pieces, of whose <i>n</i>² pairs <i>p</i> are "
        "allowed, hidden width <i>d</i>, feed-forward width <i>f</i>, <i>L</i> layers and <i>c</i> "
        "classes:</p>"
        '<p class="formula">attention = <i>L</i> (2<i>dp</i> for the scores + 2<i>dp</i> for the '
        "weighted values) = 4<i>Ldp</i><br>"
        "whole model = <i>L</i> (8<i>nd</i>² for the four projections + 4<i>ndf</i> for the "
        "feed-forward) + attention + 2<i>d</i>² + 2<i>dc</i> for the head</p>"
        "<p>Padding, look-ups, softmax, normalization and biases are not counted. A bias that blocks "
        "nothing has <i>p</i> = <i>n</i>² and saves nothing.</p>"
    )


def in_place(material: Material) -> str:
    """Return, in words, what share of the model attention has at this corpus' lengths."""
    return paragraph(f"<strong>{wording.cost_in_place(material.table('cost'))}</strong>")


def totals(material: Material) -> str:
    """Return the table of the cost of every mode on every split."""
    rows = material.table("cost")
    shown = pd.DataFrame(
        {
            "mode": rows["mode"],
            "split": rows["split"],
            "mean length": rows["pieces_mean"],
            "density": rows["density"],
            "attention FLOPs": rows["attention_flops"],
            "share of model": rows["attention_share"],
            "saved of attention": rows["saving_attention"],
            "saved of model": rows["saving_model"],
            "keys and values read (bytes)": rows["key_value_bytes"],
        }
    )
    shares = ("density", "share of model", "saved of attention", "saved of model")
    forms = dict.fromkeys(shares, wording.percent)
    forms |= dict.fromkeys(("attention FLOPs", "keys and values read (bytes)"), wording.quantity)
    forms |= {"mean length": lambda value: wording.accuracy(value, 1)}
    caption = (
        "Theoretical cost over all sentences of a split, in all layers of the trained encoder. "
        "Mean length in word pieces; share of model: full attention’s part of the model’s FLOPs; "
        "bytes as float32, without reuse between queries."
    )
    return tables.as_html(shown, "cost", caption, forms, text=("mode", "split"))


def density_by_length(material: Material) -> str:
    """Return the figure of each mode's density against sentence length."""
    table = material.table("density_by_length")
    split = "pooled" if "pooled" in set(table["split"]) else "validation"
    table = table[table["split"] == split]
    figure, axes = plt.subplots(figsize=(style.WIDTH_INCHES, 3.4))
    said, places = [], list(dict.fromkeys(table["length_from"]))
    for mode in modes_of(table):
        part = table[table["mode"] == mode]
        axes.plot(
            [places.index(start) for start in part["length_from"]],
            100 * part["density"],
            marker=style.marker(mode),
            color=style.color(mode),
            label=mode,
            alpha=0.85,
            linestyle=LINES[modes_of(table).index(mode) % len(LINES)],
        )
        first, last = part.iloc[0], part.iloc[-1]
        if part["density"].min() < 1:
            said.append(
                f"{mode} falls from {wording.percent(first['density'])} at {first['length_from']} "
                f"to {first['length_to']} pieces to {wording.percent(last['density'])} at "
                f"{last['length_from']} to {last['length_to']}"
                if last["density"] < first["density"]
                else f"{mode} does not fall with length ({wording.percent(first['density'])} to "
                f"{wording.percent(last['density'])})"
            )
    bins = table.drop_duplicates("length_from")
    axes.set_xticks(
        range(len(places)), [f"{row.length_from}–{row.length_to}" for row in bins.itertuples()]
    )
    axes.set(xlabel="length in word pieces", ylabel="density (%)", ylim=(0, 105))
    axes.legend(ncols=2)
    never = [mode for mode in modes_of(table) if table[table["mode"] == mode]["density"].min() == 1]
    caption = f"Density on {wording.split(split)}: {wording.listing(said)}. " if said else ""
    caption += f"Nothing is blocked at any length by {wording.listing(never)}. " if never else ""
    caption += wording.COUNTED
    return style.publish(
        figure, "density_by_length", material.figures, caption, "Density against length."
    )


def share_by_length(material: Material) -> str:
    """Return the figure of attention's share of the whole model's FLOPs against length."""
    table = material.table("cost_by_length")
    table = table[table["mode"] == table["mode"].iloc[0]]
    length = material.table("cost").query("split == 'validation'")["pieces_mean"].iloc[0]
    figure, axes = plt.subplots(figsize=(style.WIDTH_INCHES, 3.5))
    said = []
    for number, (name, part) in enumerate(table.groupby("encoder", sort=False)):
        axes.plot(
            part["length"],
            100 * part["attention_share"],
            LINES[number % len(LINES)],
            marker="o",
            color=style.NEUTRAL[number % len(style.NEUTRAL)],
            label=_architecture(name),
        )
        first, last = part.iloc[0], part.iloc[-1]
        said.append(
            f"for {_architecture(name)} {wording.percent(first['attention_share'])} at "
            f"{first['length']} pieces and {wording.percent(last['attention_share'])} at "
            f"{last['length']:,}"
        )
    axes.axvline(length, color=style.MUTED, linewidth=1, linestyle=":")
    axes.annotate(
        f" validation’s mean,\n {length:.1f} pieces", (length, 97), va="top", color=style.MUTED,
        fontsize=9.5,
    )  # fmt: skip
    _length_axis(axes, table["length"])
    axes.set(ylabel="attention’s share of FLOPs (%)", ylim=(0, 100))
    axes.legend(title="architecture", loc="upper left", bbox_to_anchor=(0.02, 0.84))
    caption = f"Full attention’s share of the whole model’s FLOPs is {wording.listing(said)}. A formula: no error bars."
    return style.publish(
        figure, "attention_share", material.figures, caption, "Attention’s share against length."
    )


def saving_by_length(material: Material) -> str:
    """Return the table of what each mode saves of the whole model at each length."""
    table = material.table("cost_by_length")
    wide = table.pivot(index=["encoder", "mode"], columns="length", values="saving_model")
    order = table[["encoder", "mode"]].drop_duplicates()
    wide = wide.reindex(pd.MultiIndex.from_frame(order)).reset_index()
    wide["encoder"] = wide["encoder"].map(_architecture)
    wide.columns = [f"{name:,}" if isinstance(name, int) else name for name in wide.columns]
    forms = {name: wording.percent for name in wide.columns if name not in ("encoder", "mode")}
    caption = (
        "Theoretical saving of the whole model’s FLOPs against full attention, by length in word "
        "pieces. Assumption: at every length the tags have the shares that they have in "
        "validation, and are independent of one another. Nothing was trained at the longer lengths."
    )
    return tables.as_html(wide, "saving-by-length", caption, forms, text=("encoder", "mode"))


def saving(material: Material) -> str:
    """Return the figure of what each blocking mode saves against length."""
    table = material.table("cost_by_length")
    blocking = [
        mode for mode in modes_of(table) if table[table["mode"] == mode]["density"].min() < 1
    ]
    if not blocking:
        return "<p>No mode blocks a pair: nothing is saved at any length.</p>"
    figure, axes = plt.subplots(figsize=(style.WIDTH_INCHES, 3.5))
    said = []
    for number, (name, part) in enumerate(table.groupby("encoder", sort=False)):
        for mode in blocking:
            one = part[part["mode"] == mode]
            axes.plot(
                one["length"],
                100 * one["saving_model"],
                LINES[number % len(LINES)],
                marker=style.marker(mode),
                color=style.color(mode),
                label=f"{mode}, {_architecture(name)}",
            )
            first, last = one.iloc[0], one.iloc[-1]
            said.append(
                f"{mode} on {_architecture(name)} saves "
                f"{wording.percent(first['saving_model'])} at {first['length']} pieces and "
                f"{wording.percent(last['saving_model'])} at {last['length']:,}"
            )
    _length_axis(axes, table["length"])
    axes.set(ylabel="theoretical saving,\nwhole model (%)", ylim=(0, 100))
    axes.legend(loc="upper left")
    caption = (
        f"Of the whole model’s FLOPs, in theory {wording.listing(said)}. A formula: no error bars."
    )
    return style.publish(
        figure, "saving_by_length", material.figures, caption, "Theoretical saving against length."
    )


def _architecture(name: str) -> str:
    return "bert-base’s shape" if name == "bert-base" else f"the encoder trained here ({name})"


def _length_axis(axes: plt.Axes, lengths: pd.Series) -> None:
    ticks = sorted(set(lengths))
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("length in word pieces (log scale)")
