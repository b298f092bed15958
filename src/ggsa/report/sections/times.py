"""The chapter on the theoretical saving in seconds, from the published benchmark.

`make bench` measures it on one machine and publishes it. It is not part of the pipeline, so only the
published page shows it.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from ggsa.report import style, tables, wording
from ggsa.report.sections import paragraph
from ggsa.workspace import artifacts

GROUPED, DENSE, AUTO = "hard, grouped", "hard, dense mask", "hard, auto"
WINDOW = "window, grouped"
BOTH, REAL = "forward and backward", "joined sentences"
RATIOS = (0.25, 0.5, 1, 2, 4)
WIDTHS = {
    12: ("12 heads (BERT-base’s width)", "s-"),
    2: ("2 heads (the encoder trained here)", "o--"),
}


def read(folder: str) -> pd.DataFrame:
    """Return the lines of the published benchmark.

    Raises:
        UserError: If it is missing or damaged.
    """
    return tables.read(folder, "results")


def finding(rows: pd.DataFrame) -> str:
    """Return the change in a training step of this corpus, and at which length attention gains."""
    return paragraph(f"<strong>{_step(rows)} {_crossing(rows)}</strong>")


def machine(folder: str) -> str:
    """Return the machine on which the times were taken, and how."""
    about = artifacts.read_json(Path(folder) / "machine.json")
    return paragraph(
        f"Measured by <code>make bench</code> on {about['processor']} ({about['cores']} cores), "
        f"PyTorch {about['torch']}, in {about['seconds'] / 60:.0f} minutes. The variants in one "
        f"row run in turn, in random order, in one process; a ratio is the median over rounds with "
        f"its quartiles. Another machine gives other times. "
        + (
            "The times on a GPU are in <code>gpu.csv</code> in the same folder."
            if (Path(folder) / "gpu.csv").is_file()
            else "Nothing was measured on a GPU; <code>python -m benchmarks.gpu</code> does it."
        )
    )


def figure(rows: pd.DataFrame, figures: str) -> str:
    """Return the figure of grouped attention's time over full attention's, against length."""
    ours = _attention(rows, GROUPED)
    ours = ours[(ours["batch"] == 1) & (ours["threads"] == 1) & (ours["tags"] == REAL)]
    drawn, axes = plt.subplots(figsize=(style.WIDTH_INCHES, 3.8))
    axes.axhline(1, color=style.color("full"), linewidth=1.2)
    axes.annotate(
        "full attention", (ours["length"].max(), 1), ha="right", va="bottom",
        color=style.color("full"), fontsize=9.5,
    )  # fmt: skip
    for heads, (label, form) in WIDTHS.items():
        part = _narrowest(ours[ours["heads"] == heads])
        axes.errorbar(
            part["length"],
            part["ratio"],
            yerr=[part["ratio"] - part["ratio_low"], part["ratio_high"] - part["ratio"]],
            fmt=form,
            color=style.color("hard"),
            alpha=1 if heads == 12 else 0.65,
            label=f"hard, {label}",
        )
    floor = _narrowest(ours[ours["heads"] == 12])
    axes.plot(
        floor["length"],
        floor["limit"],
        ":",
        color=style.INK,
        label="floor: the density of the mask",
    )
    axes.set_xscale("log", base=2)
    lengths = sorted(set(ours["length"]))
    axes.set_xticks(lengths, [wording.count(length) for length in lengths])
    axes.minorticks_off()
    axes.set_yscale("log", base=2)
    axes.set_yticks(RATIOS, [f"{ratio:g}" for ratio in RATIOS])
    axes.set(
        xlabel="length in word pieces (log scale)",
        ylabel="time over full attention’s (log scale)",
        ylim=(RATIOS[0], None),
    )
    axes.legend()
    said = "; ".join(
        f"{label}: "
        + wording.listing(
            f"{row.ratio:.2f} at {wording.count(row.length)}"
            for row in _narrowest(ours[ours["heads"] == heads]).itertuples()
        )
        for heads, (label, _) in WIDTHS.items()
    )
    caption = (
        f"Grouped attention’s time over that of PyTorch’s fused attention over all pairs, {BOTH}, "
        f"planning included, one sequence, one thread. {said}. Bars: quartiles over rounds. The "
        f"dotted floor is the share of pairs that the mask allows."
    )
    return style.publish(
        drawn, "benchmark", figures, caption, "Line plot of time ratio against length."
    )


def attention(rows: pd.DataFrame) -> str:
    """Return the table of grouped attention, and of the window control, against full attention."""
    ours = pd.concat([_attention(rows, GROUPED), _attention(rows, WINDOW)])
    dense = rows[(rows["benchmark"] == "attention") & (rows["ours"] == DENSE)]
    auto = rows[(rows["benchmark"] == "attention") & (rows["ours"] == AUTO)]
    lines = []
    for row in ours.itertuples():
        beside = (
            [_beside(other, row) for other in (dense, auto)] if row.case == "hard" else [None] * 2
        )
        lines.append(
            {
                "pattern": row.case,
                "pieces": row.length,
                "batch": _whole_number(row.batch),
                "heads": _whole_number(row.heads),
                "tags": row.tags,
                "pass": row.direction,
                "threads": _whole_number(row.threads),
                "full (ms)": f"{1000 * row.value_peer:,.1f}",
                "grouped (ms)": f"{1000 * row.value_ours:,.1f}",
                "ratio": f"{row.ratio:.2f} ({row.ratio_low:.2f} to {row.ratio_high:.2f})",
                "floor": f"{row.limit:.2f}",
                "realised": wording.percent(row.realised, 0),
                "dense mask over full": wording.NONE if beside[0] is None else f"{beside[0]:.2f}",
                "auto over dense mask": wording.NONE if beside[1] is None else f"{beside[1]:.2f}",
            }
        )
    caption = (
        "Attention alone, heads of width 64, planning included. Ratio: grouped over full, median "
        "(quartiles). Floor: the share of pairs allowed. Realised: the share of the theoretical "
        "saving that is kept in time; below zero where grouping costs more than it saves. Auto "
        "takes whichever of grouped and dense mask it predicts to be faster. Tags: sentences of the "
        "corpus joined, or the same tags shuffled."
    )
    text = ("pattern", "tags", "pass")
    return tables.as_html(
        pd.DataFrame(lines), "benchmark-attention", caption, {"pieces": wording.count}, text=text
    )


def whole(rows: pd.DataFrame) -> str:
    """Return the table of everything else: layer, training step, experiment, tagging, memory."""
    lines = []
    for row in rows[rows["benchmark"] != "attention"].itertuples():
        spread = "" if wording.is_missing(row.ratio_low) else (
            f" ({row.ratio_low:.2f} to {row.ratio_high:.2f})"
        )  # fmt: skip
        lines.append(
            {
                "what": f"{row.benchmark}: {row.case}",
                "pieces": wording.NONE
                if wording.is_missing(row.length)
                else wording.count(row.length),
                "batch": _whole_number(row.batch),
                "threads": _whole_number(row.threads),
                "ours": row.ours,
                "peer": row.peer,
                "unit": row.unit,
                "ours measured": _measured(row.value_ours),
                "peer measured": _measured(row.value_peer),
                "ratio": f"{row.ratio:.3g}{spread}",
                "floor": wording.NONE if wording.is_missing(row.limit) else f"{row.limit:.2f}",
            }
        )
    caption = (
        "Layer: one encoder layer of BERT-base’s width, forward and backward. Step: the seconds of "
        "an epoch, from training steps over batches spread evenly over the lengths of the corpus. "
        "Experiment: full, hard and soft under the recipe of the released code (batch 8, three "
        "epochs, tagging included), extrapolated from some batches of each; the peer tags every batch again "
        "and builds masks by Python loops in every layer. Tagging: the ratio is of seconds a word. "
        "Memory: its increase in a forward and backward pass, beside the bytes of a dense mask "
        "alone (computed, not measured)."
    )
    text = ("what", "ours", "peer", "unit")
    return tables.as_html(pd.DataFrame(lines), "benchmark-whole", caption, text=text)


def _attention(rows: pd.DataFrame, contestant: str) -> pd.DataFrame:
    return rows[
        (rows["benchmark"] == "attention") & (rows["ours"] == contestant) & (rows["peer"] == "full")
    ]


def _narrowest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return forward-and-backward lines, the first of each length, shortest first."""
    rows = rows[rows["direction"] == BOTH]
    return rows.drop_duplicates("length").sort_values("length")


def _beside(rows: pd.DataFrame, row: object) -> float | None:
    keys = ("length", "batch", "heads", "tags", "direction", "threads", "case")
    found = rows[(rows[list(keys)] == [getattr(row, key) for key in keys]).all(axis=1)]
    return None if found.empty else float(found["ratio"].iloc[0])


def _step(rows: pd.DataFrame) -> str:
    steps = rows[(rows["benchmark"] == "step") & (rows["threads"] == 1)]
    if steps.empty:
        return ""
    row = steps.iloc[0]
    return (
        f"A training step on this corpus takes {row['ratio']:.2f} times as long with the hard mask "
        f"as with full attention ({row['ratio_low']:.2f} to {row['ratio_high']:.2f}): at these "
        f"lengths attention is too small a part of the step for any mask to speed it up."
    )


def _crossing(rows: pd.DataFrame) -> str:
    ours = _attention(rows, GROUPED)
    ours = ours[(ours["batch"] == 1) & (ours["threads"] == 1) & (ours["tags"] == REAL)]
    parts = []
    for heads, (label, _) in WIDTHS.items():
        part = _narrowest(ours[ours["heads"] == heads])
        if part.empty:
            continue
        slower = part.loc[part["ratio"] >= 1, "length"]
        pays = part[part["length"] > (slower.max() if len(slower) else 0)]
        last = part.iloc[-1]
        text = (
            f"attention with {label} is faster than full attention from "
            f"{wording.count(pays['length'].iloc[0])} pieces on, of the lengths measured"
            if len(pays)
            else f"attention with {label} is faster than full attention at no length measured"
        )
        parts.append(
            f"{text}, and keeps {wording.percent(last['realised'], 0)} of the theoretical saving at "
            f"{wording.count(last['length'])}"
        )
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _whole_number(value: float) -> str:
    return wording.NONE if wording.is_missing(value) else str(int(value))


def _measured(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
