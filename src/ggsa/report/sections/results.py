"""The chapter on the results: accuracy, differences, verdicts, training and errors."""

import html

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ggsa.report import style, tables, wording
from ggsa.report.sections import Material, modes_of, splits_of
from ggsa.workspace.provenance import SENTIMENT, class_names


def accuracy(material: Material) -> str:
    """Return the figure of every run and the mean of every mode on every split."""
    results, runs = material.table("results"), material.table("runs")
    splits, modes = splits_of(results), modes_of(results)
    figure, panels = plt.subplots(
        1, len(splits), figsize=(style.WIDTH_INCHES, 3.9), sharey=True, squeeze=False
    )
    for axes, split in zip(panels[0], splits, strict=True):
        for place, mode in enumerate(modes):
            row = results[(results["split"] == split) & (results["mode"] == mode)].iloc[0]
            each = runs[(runs["split"] == split) & (runs["mode"] == mode)]["accuracy"]
            if not wording.is_missing(row["paper"]):
                axes.fill_between(
                    (place - 0.42, place + 0.42), row["paper_low"], row["paper_high"],
                    color=style.REFERENCE, alpha=0.2, linewidth=0,
                )  # fmt: skip
                axes.hlines(
                    row["paper"], place - 0.42, place + 0.42, color=style.REFERENCE, linewidth=1.4
                )
            axes.errorbar(
                place - 0.12,
                row["accuracy_mean"],
                yerr=None if np.isnan(row["accuracy_sd"]) else row["accuracy_sd"],
                fmt=style.marker(mode),
                color=style.color(mode),
                markersize=8,
            )
            spread = np.linspace(0.1, 0.3, len(each)) if len(each) > 1 else [0.2]
            axes.plot(place + np.array(spread), each, ".", color=style.color(mode), alpha=0.75)
        axes.set_xticks(range(len(modes)), modes, rotation=30 if len(modes) > 3 else 0)
        axes.set_title(
            f"{wording.split(split).replace(' together', '')}\nn = {row['n']:,}", fontsize=10
        )
        axes.set_xlim(-0.6, len(modes) - 0.4)
        axes.grid(axis="x", visible=False)
    panels[0][0].set_ylabel("accuracy")
    first = results[results["split"] == splits[0]]
    best, worst = (
        first.loc[first["accuracy_mean"].idxmax()],
        first.loc[first["accuracy_mean"].idxmin()],
    )
    gap = 100 * (best["accuracy_mean"] - worst["accuracy_mean"])
    within = 100 * (first["accuracy_max"] - first["accuracy_min"]).max()
    caption = (
        f"On {splits[0]} the means of the modes are {gap:.2f} pp apart ({best['mode']} highest,"
        f" {worst['mode']} lowest); the runs of a single mode differ by up to {within:.2f} pp "
        f"from seed to seed. Large markers: mean, bars ± one standard deviation over "
        f"{wording.seeds(int(best['seeds']))}. Dots: single runs."
    )
    if results["paper"].notna().any():
        caption += " Gray: the published value with its Wilson 95% interval."
    return style.publish(
        figure, "accuracy", material.figures, caption, "Accuracy of every mode on every split."
    )


def summary(material: Material) -> str:
    """Return the table of accuracy and F1 of every mode on every split."""
    rows = material.table("results")
    shown = pd.DataFrame(
        {
            "mode": rows["mode"],
            "split": rows["split"],
            "seeds": rows["seeds"],
            "n": rows["n"],
            "accuracy": rows["accuracy_mean"],
            "SD": rows["accuracy_sd"],
            "lowest": rows["accuracy_min"],
            "highest": rows["accuracy_max"],
            "F1": rows["f1_mean"],
            "F1 SD": rows["f1_sd"],
        }
    )
    forms = dict.fromkeys(("accuracy", "SD", "lowest", "highest", "F1", "F1 SD"), wording.accuracy)
    names = class_names(material.provenance())
    kind = f"of the class {names[1]}" if len(names) == 2 else f"mean of the {len(names)} classes"
    kind = "of the positive class" if names == SENTIMENT else html.escape(kind)
    caption = f"Accuracy and F1 ({kind}) over seeds; SD is the sample’s."
    return tables.as_html(
        shown, "results-all", caption, forms | {"n": wording.count}, text=("mode", "split")
    )


def differences(material: Material) -> str:
    """Return the figure of each mode minus full, with intervals and the equivalence margin."""
    table, verdicts = material.table("differences"), material.table("verdicts")
    if table.empty:
        return "<p>Nothing to compare: full and a second mode must both be in the grid.</p>"
    arms, splits = list(dict.fromkeys(table["arm"])), splits_of(table)
    figure, axes = plt.subplots(
        figsize=(style.WIDTH_INCHES, 0.42 * len(table) + 0.3 * len(splits) + 1.2)
    )
    margins = verdicts["margin_points"].dropna()
    if len(margins):
        axes.axvspan(-margins.max(), margins.max(), color=style.REFERENCE, alpha=0.15, linewidth=0)
    axes.axvline(0, color=style.MUTED, linewidth=1)
    places, labels, place = [], [], 0.0
    for split in splits:
        for arm in arms:
            row = table[(table["split"] == split) & (table["arm"] == arm)].iloc[0]
            middle = row["difference_points"]
            axes.errorbar(
                middle, place,
                xerr=[[middle - row["low_points"]], [row["high_points"] - middle]],
                fmt=style.marker(arm), color=style.color(arm), markersize=7,
            )  # fmt: skip
            places.append(place)
            labels.append(f"{arm}, {split}")
            place += 1
        place += 0.5
    axes.set_yticks(places, labels)
    axes.set(xlabel="accuracy minus that of full attention (percentage points)")
    axes.set_ylim(place - 0.8, -0.7)
    axes.grid(axis="y", visible=False)
    widest = wording.widest_split(table)
    each = wording.listing(
        f"{row.arm} {wording.points(row.difference_points)} pp "
        f"({wording.interval(row.low_points, row.high_points, wording.points)})"
        for row in table[table["split"] == widest].itertuples()
    )
    caption = (
        f"Difference from full attention on {wording.split(widest)}, with 95% intervals (Student’s "
        f"t, crossed random effects of sentences and seeds): {each}."
    )
    if len(margins):
        caption += f" Gray: the margin of ±{margins.max():g} pp, fixed before any result."
    return style.publish(
        figure, "differences", material.figures, caption, "Differences from full with intervals."
    )


def differences_table(material: Material) -> str:
    """Return the table of differences, p values and discordant sentences."""
    rows = material.table("differences")
    if rows.empty:
        return ""
    shown = pd.DataFrame(
        {
            "mode": rows["arm"],
            "split": rows["split"],
            "seeds": rows["seeds"],
            "n": rows["n"],
            "difference": rows["difference_points"],
            "95% low": rows["low_points"],
            "95% high": rows["high_points"],
            "p": rows["p"],
            "detectable": rows["smallest_points"],
            "discordant": rows["discordant_share"],
        }
    )
    forms = dict.fromkeys(("difference", "95% low", "95% high"), wording.points)
    forms |= {"p": wording.p_value, "discordant": wording.percent, "n": wording.count}
    forms |= {"detectable": wording.size}
    caption = (
        "Mode minus full, in percentage points; p is two-sided and not corrected. Detectable: the "
        "smallest difference that this design could detect. Discordant: share of pairs of sentence "
        "and seed in which only one of the two is right."
    )
    return tables.as_html(shown, "differences", caption, forms, text=("mode", "split"))


def verdicts(material: Material) -> str:
    """Return the table of the verdicts on the declared questions."""
    rows = material.table("verdicts")
    if rows.empty:
        return ""
    caption = (
        "The declared questions, on validation and test together. A verdict of equivalence needs "
        "shown headroom, and “inconclusive” does not mean equal. Detectable: the smallest "
        "difference that this design could detect."
    )
    shown = tables.verdict_rows(rows)
    return tables.as_html(shown, "verdicts", caption, text=tuple(shown.columns))


def baselines(material: Material) -> str:
    """Return the table of what needs no attention at all: majority class and bag of words."""
    rows = material.table("baselines")
    if rows.empty:
        return ""
    shown = pd.DataFrame(
        {
            "baseline": rows["baseline"],
            "split": rows["split"],
            "n": rows["n"],
            "accuracy": rows["accuracy"],
            "95% low": rows["wilson_low"],
            "95% high": rows["wilson_high"],
        }
    )
    forms = dict.fromkeys(("accuracy", "95% low", "95% high"), wording.accuracy)
    caption = (
        "Baselines without word order, with Wilson’s intervals: TF-IDF and logistic regression."
    )
    return tables.as_html(
        shown, "baselines", caption, forms | {"n": wording.count}, text=("baseline", "split")
    )


def mcnemar(material: Material) -> str:
    """Return the table of McNemar's exact test, one row a seed."""
    rows = material.table("mcnemar")
    if rows.empty:
        return ""
    rows = rows.rename(
        columns={"only_full_right": "only full right", "only_mode_right": "only mode right"}
    )
    caption = (
        "McNemar’s exact test of each mode against full, one seed at a time, uncorrected: sentences "
        "that only one of the two classifies correctly."
    )
    return tables.as_html(rows, "mcnemar", caption, {"p": wording.p_value}, text=("mode", "split"))


def training(material: Material) -> str:
    """Return the figure of loss and selection accuracy during training."""
    history = material.table("history")
    figure, (above, below) = plt.subplots(2, 1, figsize=(style.WIDTH_INCHES, 5.2), sharex=True)
    last, modes = {}, modes_of(history)
    for place, mode in enumerate(modes):
        part = history[history["mode"] == mode]
        by_step = part.groupby("step")[["loss", "selection_accuracy"]]
        mean, spread = by_step.mean(), by_step.std()
        # Side by side, so that the bars of one mode do not hide those of another.
        shift = (place - (len(modes) - 1) / 2) * 0.09 * np.diff(mean.index, prepend=0).min()
        for axes, column in ((above, "loss"), (below, "selection_accuracy")):
            for _, one in part.groupby("seed"):
                axes.plot(
                    one["step"], one[column], color=style.color(mode), alpha=0.3, linewidth=0.9
                )
            axes.errorbar(
                mean.index + shift, mean[column], label=mode, fmt=f"{style.marker(mode)}-",
                yerr=None if spread[column].isna().any() else spread[column],
                color=style.color(mode), markersize=4.5, elinewidth=1, capsize=2.5,
                markevery=max(1, len(mean) // 12), errorevery=max(1, len(mean) // 12),
            )  # fmt: skip
        last[mode] = mean["selection_accuracy"].iloc[-1]
    above.set(ylabel="training loss")
    below.set(ylabel="selection accuracy", xlabel="optimizer step")
    above.legend(ncols=len(last))
    caption = (
        f"Mean selection accuracy at the last step: "
        f"{wording.ranked(list(last.items()), wording.accuracy)}. Thick: mean over seeds, bars ± one "
        f"standard deviation; thin: single runs."
    )
    return style.publish(
        figure, "training", material.figures, caption, "Training loss and selection accuracy."
    )


def confusion(material: Material) -> str:
    """Return the figure of which label is taken for which, on validation."""
    names = class_names(material.provenance())
    table = material.table("confusion")
    table = table[table["split"] == "validation"]
    modes = modes_of(table)
    columns = min(len(modes), 4)
    rows = -(-len(modes) // columns)
    figure, panels = plt.subplots(
        rows,
        columns,
        figsize=(style.WIDTH_INCHES, 2.7 * rows),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    said = []
    for axes in panels.flat[len(modes) :]:
        axes.set_visible(False)
    for axes, mode in zip(panels.flat, modes, strict=False):
        share = table[table["mode"] == mode].pivot(
            index="label", columns="predicted", values="share"
        )
        places = range(len(names))
        values = 100 * share.reindex(index=places, columns=places).to_numpy()
        axes.imshow(values, cmap=style.SEQUENTIAL, vmin=0, vmax=60)
        for (label, predicted), value in np.ndenumerate(values):
            ink = "white" if value > 33 else style.INK
            axes.text(predicted, label, f"{value:.1f}%", ha="center", va="center", color=ink)
        ticks = [name.replace("$", r"\$") for name in names]  # no formula
        axes.set_xticks(places, ticks)
        axes.set_yticks(places, ticks, rotation=90, va="center")
        axes.set_title(mode, color=style.color(mode), fontweight="bold")
        axes.set_xlabel("predicted")
        style.no_grid(axes)
        said.append((mode, values))
    panels[0][0].set_ylabel("label")
    caption = "Errors on validation, as shares of all sentences: " + html.escape(
        wording.listing(f"{mode} {_mistaken(values, names)}" for mode, values in said)
    )
    caption += " (means over seeds; the table of accuracies has the standard deviations)."
    return style.publish(
        figure, "confusion", material.figures, caption, "Heat maps of labels against predictions."
    )


def _mistaken(values: np.ndarray, names: tuple[str, ...]) -> str:
    """Return what a mode gets wrong, from its shares in percent by label and prediction."""
    if len(names) == 2:
        return f"wrongly predicts {values[0, 1]:.1f}% {names[1]} and {values[1, 0]:.1f}% {names[0]}"
    wrong = np.where(np.eye(len(names), dtype=bool), -1.0, values)
    label, predicted = np.unravel_index(wrong.argmax(), wrong.shape)
    return (
        f"errs on {100 - np.trace(values):.1f}%, most often by calling {names[label]} "
        f"{names[predicted]} ({wrong.max():.1f}%)"
    )
