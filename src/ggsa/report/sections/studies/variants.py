"""Mistakes of the tagger, strength of the soft bias, and token masking."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ggsa.report import style, tables, wording
from ggsa.report.sections import studies
from ggsa.report.sections.studies import Studies, forest

NOISE, MISREAD = "hard-noise-", "hard-noise-eval-"
STRENGTHS = ("soft-1", "soft-2", "soft", "soft-10", "soft_released")
MASKED = ("full-masking", "hard-masking", "soft-masking")
FAMILY = "the tagger's mistakes matter"


def noise_finding(material: Studies, base: str) -> str:
    """Return what wrong tags cost, by the pre-stated tests where they can be asked."""
    rows, where = _noise(material, base), studies.BASE_NAMES[base]
    if rows.empty:
        return studies.finding(f"Not run: no arm with wrong tags is finished on {where}.")
    asked = material.rows(base, "questions")
    asked = asked[asked["family"] == FAMILY] if len(asked) else asked
    each = wording.listing(
        f"with {share(row['arm'])}% of the tags wrong "
        + studies.said(*_to(row, "hard"), row["n"], row["seeds_to_hard"])
        for _, row in rows.iterrows()
        if not wording.is_missing(row["difference_points_to_hard"])
    )
    told = [] if asked.empty else list(asked.loc[asked["verdict"] == "yes", "question"])
    if told:
        shares = wording.listing(question.partition(" with ")[2] for question in told)
        answer = (
            f"after Holm’s correction, the tagger’s mistakes are shown to cost accuracy ({shares})"
        )
    elif len(asked):
        answer = (
            "after Holm’s correction, no share of wrong tags is shown to cost accuracy, which is "
            "what one expects where the mask itself cannot be told to matter"
        )
    else:
        answer = "the question has not been tested yet"
    return studies.finding(f"On {where}, {answer}. Minus hard with its tags: {each}.")


def noise(material: Studies, base: str) -> str:
    """Return the figure of hard with wrong tags minus hard, against the share of wrong tags."""
    rows = _noise(material, base)
    rows = rows[rows["difference_points_to_hard"].notna()] if len(rows) else rows
    if rows.empty:
        return ""
    figure, axes = plt.subplots(figsize=(style.WIDTH_INCHES, 3.2))
    shares = [share(arm) for arm in rows["arm"]]
    middle, low, high = (
        rows[f"{end}_points_to_hard"].to_numpy(float) for end in ("difference", "low", "high")
    )
    axes.axhline(0, color=style.MUTED, linewidth=1)
    axes.errorbar(
        shares,
        middle,
        yerr=np.array([middle - low, high - middle]),
        fmt=f"{style.marker('hard')}-",
        color=style.color("hard"),
        markersize=7,
    )
    axes.set_xticks([0, *shares])
    axes.set(xlabel="share of words with a wrong tag (%)", ylabel="accuracy minus hard (points)")
    told = int(((low > 0) | (high < 0)).sum())
    caption = (
        f"{told} of {len(rows)} shares of wrong tags change accuracy by an interval clear of zero. "
        f"Tags are replaced at random in training and in evaluation alike, beyond the tagger’s own "
        f"mistakes. {studies.BASE_NAMES[base][:1].upper()}{studies.BASE_NAMES[base][1:]}; n = "
        f"{wording.count(rows['n'].iloc[0])}. {studies.method(rows['seeds_to_hard'])}"
    )
    return style.publish(
        figure,
        f"study_noise_{base}",
        material.figures,
        caption,
        "Line plot of the accuracy lost by hard as its tags go wrong, with intervals.",
    )


def noise_table(material: Studies, base: str) -> str:
    """Return the table of hard with wrong tags."""
    rows = _noise(material, base)
    hard = _pooled(material, base, ("hard",))
    return _table(
        pd.concat([hard, rows], ignore_index=True) if len(rows) else rows,
        f"study-noise-{base}",
        f"Hard with some of its tags wrong in training and evaluation, on "
        f"{studies.BASE_NAMES[base]}",
        ("hard", "full"),
    )


def evaluation_only(material: Studies, base: str) -> str:
    """Return the table of hard with tags that are wrong in evaluation alone."""
    rows = _noise(material, base, MISREAD)
    if rows.empty:
        return "Not run: wrong tags in evaluation alone, after training on right ones."
    return _table(
        rows,
        f"study-misread-{base}",
        f"Hard, trained on the tagger's tags and then read with some of them wrong, on "
        f"{studies.BASE_NAMES[base]}",
        ("hard", "full"),
    )


def strength_finding(material: Studies, base: str) -> str:
    """Return whether any strength of the bias, or token masking, moves accuracy."""
    rows, where = _pooled(material, base, (*STRENGTHS, *MASKED)), studies.BASE_NAMES[base]
    rows = rows[rows["difference_points_to_full"].notna()] if len(rows) else rows
    if rows.empty or not set(rows["arm"]) - {"soft"}:
        return studies.finding(
            f"Not run: no other strength of the bias and no token masking is finished on {where}."
        )
    told = rows[(rows["low_points_to_full"] > 0) | (rows["high_points_to_full"] < 0)]
    top = rows.loc[rows["difference_points_to_full"].abs().idxmax()]
    answer = (
        f"{wording.listing(told['arm'])} differ{'s' if len(told) == 1 else ''} from full by an "
        f"interval clear of zero (uncorrected)"
        if len(told)
        else "none differs from full by an interval clear of zero"
    )
    return studies.finding(
        f"On {where}, of {len(rows)} arms with a soft bias or token masking {answer}; the largest "
        f"difference is {top['arm']}, {studies.said(*_to(top, 'full'), top['n'], top['seeds_to_full'])}."
    )


def strength(material: Studies, base: str) -> str:
    """Return the figure of every strength of the bias and of token masking against full and hard."""
    rows = _pooled(material, base, (*STRENGTHS, *MASKED))
    if rows.empty:
        return ""
    panels = [
        forest.Panel(
            f"minus {reference}",
            [
                None
                if wording.is_missing(row[f"difference_points_to_{reference}"])
                else forest.Line(row["mode"], *_to(row, reference), hollow=row["arm"] in MASKED)
                for _, row in rows.iterrows()
            ],
        )
        for reference in ("full", "hard")
    ]
    figure = forest.figure(list(rows["arm"]), panels, "difference of accuracy (percentage points)")
    spread = 100 * (rows["accuracy_mean"].max() - rows["accuracy_mean"].min())
    caption = (
        f"The means of these arms lie within {spread:.2f} points. soft-1, soft-2 and soft-10: the "
        f"number is added to the score of a favored pair; soft has the strength of the core "
        f"study, soft_released favors the released code’s pairs (D4). Hollow: trained with token "
        f"masking. {studies.BASE_NAMES[base][:1].upper()}{studies.BASE_NAMES[base][1:]}; n = "
        f"{wording.count(rows['n'].iloc[0])}. "
        f"{studies.method([*rows['seeds_to_full'], *rows['seeds_to_hard']])}{forest.note(panels)}"
    )
    return style.publish(
        figure,
        f"study_variants_{base}",
        material.figures,
        caption,
        "Forest plot of soft biases and token masking minus full and minus hard.",
    )


def strength_table(material: Studies, base: str) -> str:
    """Return the table of the same."""
    return _table(
        _pooled(material, base, ("full", "hard", *STRENGTHS, *MASKED)),
        f"study-variants-{base}",
        f"Strength of the soft bias, and token masking, on {studies.BASE_NAMES[base]}",
        ("full", "hard"),
    )


def share(arm: str) -> int:
    """Return the percentage of wrong tags that an arm's name says."""
    return int(arm.rpartition("-")[2])


def _noise(material: Studies, base: str, prefix: str = NOISE) -> pd.DataFrame:
    rows = material.rows(base, "arms")
    if rows.empty:
        return rows
    ours = rows["arm"].str.fullmatch(rf"{prefix}\d+")
    rows = rows[ours & (rows["split"] == studies.ALL)]
    return rows.sort_values("arm", key=lambda column: column.map(share)).reset_index(drop=True)


def _pooled(material: Studies, base: str, arms: tuple[str, ...]) -> pd.DataFrame:
    rows = material.rows(base, "arms")
    if rows.empty:
        return rows
    rows = rows[rows["split"] == studies.ALL].set_index("arm", drop=False)
    return rows.loc[[arm for arm in arms if arm in rows.index]].reset_index(drop=True)


def _to(row: pd.Series, reference: str) -> list[float]:
    return [row[f"{end}_points_to_{reference}"] for end in ("difference", "low", "high")]


def _table(rows: pd.DataFrame, name: str, caption: str, references: tuple[str, ...]) -> str:
    if rows.empty:
        return ""
    lines = []
    for _, row in rows.iterrows():
        line = {
            "arm": row["arm"],
            "density": wording.percent(row["density"]),
            "accuracy": studies.spread(row["accuracy_mean"], row["accuracy_sd"]),
            "n": row["n"],
            "seeds": str(int(row["seeds"])),
        }
        for reference in references:
            line[f"minus {reference}"] = studies.estimate(*_to(row, reference))
            line[f"p ({reference})"] = wording.p_value(row[f"p_to_{reference}"])
            line[f"test ({reference})"] = studies.test_of(row[f"seeds_to_{reference}"])
        lines.append(line)
    seeds = [rows[f"seeds_to_{reference}"] for reference in references]
    caption = (
        f"{caption}; validation and test together. Accuracy: mean ± standard deviation over seeds; "
        f"differences in points. {studies.method(pd.concat(seeds))}"
    )
    text = ("arm", *(f"test ({reference})" for reference in references))
    return tables.as_html(pd.DataFrame(lines), name, caption, {"n": wording.count}, text=text)
