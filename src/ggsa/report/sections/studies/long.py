"""Long documents: is work saved in seconds, and is accuracy kept, where attention is most of it?"""

import matplotlib.pyplot as plt
import pandas as pd

from ggsa.evaluation.study_cells import IMDB
from ggsa.report import style, tables, wording
from ggsa.report.sections import studies
from ggsa.report.sections.studies import Studies

STUDY, CORPUS, PEER = "long", "imdb", "full"
LONG = 1024
"""Pieces from which on a document counts as long."""

TRAINING, INFERENCE = "training step", "inference"
WHOLE = "training, documents as they come"


def finding(material: Studies) -> str:
    """Return what hard saves on long documents, and what it does to accuracy."""
    times, where = _times(material), studies.BASE_NAMES[IMDB]
    accuracy = _accuracy_said(material)
    if times.empty:
        return studies.finding(
            f"Not run: nothing was timed on {where}.{f' {accuracy}' if accuracy else ''}"
        )
    steps = times[
        (times["what"] == TRAINING) & (times["mode"] == "hard") & (times["length"] >= LONG)
    ]
    said = wording.listing(
        f"{row.ratio:.2f} of full’s time at {wording.count(row.length)} pieces"
        for row in steps.itertuples()
    )
    whole = times[(times["what"] == WHOLE) & (times["mode"] == "hard")]
    all_lengths = "".join(
        f" Over documents as they come ({wording.count(row.length)} pieces on average), a whole "
        f"training takes {row.ratio:.2f} of full’s time."
        for row in whole.itertuples()
    )
    return studies.finding(
        f"On {where}, a training step of hard takes {said}.{all_lengths} {accuracy}".strip()
    )


def accuracies(material: Studies) -> str:
    """Return the table of accuracy on every split, with what the cells took."""
    rows = material.rows(IMDB, "arms")
    if rows.empty:
        return ""
    lines = [
        {
            "mode": row["arm"],
            "split": wording.split(row["split"]),
            "density": wording.percent(row["density"]),
            "accuracy": studies.spread(row["accuracy_mean"], row["accuracy_sd"]),
            "minus full": studies.estimate(
                *(row[f"{end}_points_to_full"] for end in ("difference", "low", "high"))
            ),
            "p": wording.p_value(row["p_to_full"]),
            "test": studies.test_of(row["seeds_to_full"]),
            "n": row["n"],
            "seeds": str(int(row["seeds"])),
        }
        for _, row in rows.iterrows()
    ]
    caption = (
        f"Accuracy on {studies.BASE_NAMES[IMDB]}: mean ± standard deviation over seeds; differences "
        f"in points. {studies.method(rows['seeds_to_full'])}"
    )
    return tables.as_html(
        pd.DataFrame(lines),
        "study-long",
        caption,
        {"n": wording.count},
        text=("mode", "split", "test"),
    )


def figure(material: Studies) -> str:
    """Return the figure of time over full's against length, for training and inference."""
    times = _times(material)
    if times.empty:
        return ""
    drawn, axes = plt.subplots(1, 2, figsize=(style.WIDTH_INCHES, 3.4), sharey=True)
    for panel, what in zip(axes, (TRAINING, INFERENCE), strict=True):
        part = times[(times["what"] == what) & (times["mode"] != PEER)]
        panel.axhline(1, color=style.color(PEER), linewidth=1.2)
        for mode, rows in part.groupby("mode", sort=False):
            panel.errorbar(
                rows["length"],
                rows["ratio"],
                yerr=[rows["ratio"] - rows["ratio_low"], rows["ratio_high"] - rows["ratio"]],
                fmt=f"{style.marker(mode)}-",
                color=style.color(mode),
                label=mode,
            )
        panel.set_xscale("log", base=2)
        lengths = sorted(set(part["length"]))
        panel.set_xticks(lengths, [wording.count(length) for length in lengths])
        panel.minorticks_off()
        panel.set(title=what, xlabel="length in word pieces (log scale)")
    axes[0].set(ylabel="time over full’s", ylim=(0, None))
    axes[0].legend()
    caption = (
        "Time of a document over full attention’s, whole model, against its length: "
        + "; ".join(
            f"{row.mode}, {row.what}, {wording.count(row.length)} pieces: {row.ratio:.2f}"
            for row in times[times["mode"] != PEER].itertuples()
            if row.length >= LONG
        )
        + ". Bars: quartiles over rounds, all modes in turn in one process; one thread. The line at "
        "1 is full attention."
    )
    return style.publish(
        drawn, "study_long", material.figures, caption, "Line plots of time ratio against length."
    )


def times(material: Studies) -> str:
    """Return the table of seconds and memory by length."""
    rows = _times(material)
    if rows.empty:
        return ""
    shown = pd.DataFrame(
        {
            "pieces": rows["length"],
            "what": rows["what"],
            "mode": rows["mode"],
            "density": rows["density"],
            "ms a document": [f"{1000 * value:,.1f}" for value in rows["seconds_per_document"]],
            "over full’s": [
                f"{row.ratio:.2f} ({row.ratio_low:.2f} to {row.ratio_high:.2f})"
                for row in rows.itertuples()
            ],
            "peak memory (MiB)": [
                wording.NONE if wording.is_missing(value) else wording.count(value)
                for value in rows["peak_mib"]
            ],
            "rounds": rows["rounds"],
        }
    )
    caption = (
        "The first pieces of real reviews of at least that length, with fresh weights of the study’s "
        "encoder; each mode as attention.implementation: auto computes it. Memory: by how much it "
        "rises in a training step."
    )
    return tables.as_html(
        shown,
        "study-long-times",
        caption,
        {"density": wording.percent, "pieces": wording.count},
        text=("what", "mode"),
    )


def _times(material: Studies) -> pd.DataFrame:
    path = material.results / STUDY / CORPUS / "times.csv"
    return tables.read(path.parent, path.stem) if path.is_file() else pd.DataFrame()


def _accuracy_said(material: Studies) -> str:
    rows = material.rows(IMDB, "arms")
    row = studies.row_of(rows, arm="hard", split="test")
    if row is None or wording.is_missing(row["difference_points_to_full"]):
        return ""
    ends = (row[f"{end}_points_to_full"] for end in ("difference", "low", "high"))
    return f"Its accuracy on test minus full’s is {studies.said(*ends, row['n'], row['seeds'])}."
