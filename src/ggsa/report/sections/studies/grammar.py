"""Does grammar matter? Masks that have as many holes as hard, in other places."""

import pandas as pd

from ggsa.patterns.modes import MODES
from ggsa.report import style, tables, wording
from ggsa.report.sections import studies
from ggsa.report.sections.studies import Studies, forest

FAMILY = "grammar matters"
NEAR = 0.02
"""A density within this share of hard's counts as equal."""


def finding(material: Studies, base: str) -> str:
    """Return whether hard beats the controls of equal density, by the pre-stated tests."""
    asked = material.rows(base, "questions")
    asked = asked[asked["family"] == FAMILY] if len(asked) else asked
    where = studies.BASE_NAMES[base]
    if asked.empty:
        return studies.finding(f"Not run: no control of equal density is finished on {where}.")
    names = {row["question"]: _control(row["question"]) for _, row in asked.iterrows()}
    by_verdict = {
        verdict: [names[q] for q in asked.loc[asked["verdict"] == verdict, "question"]]
        for verdict in ("yes", "no", "cannot tell")
    }
    each = wording.listing(
        f"hard minus {names[row['question']]} is "
        + studies.said(
            row["difference_points"], row["low_points"], row["high_points"], row["n"], row["seeds"]
        )
        + f", p = {wording.p_value(row['p_holm'])} after Holm ({row['test']})"
        for _, row in asked.iterrows()
    )
    if len(by_verdict["yes"]) == len(asked):
        answer = "at equal density hard beats every control asked about, so grammar matters here"
    elif by_verdict["yes"]:
        answer = (
            f"hard beats {wording.listing(by_verdict['yes'])}, but is not shown to beat "
            f"{wording.listing(by_verdict['no'] + by_verdict['cannot tell'], 'or')}"
        )
    elif by_verdict["no"]:
        answer = f"hard is worse than {wording.listing(by_verdict['no'])} and beats no control"
    else:
        answer = (
            "it cannot be told that the grammatical choice of pairs does better than any other "
            "choice of as many"
        )
    return studies.finding(f"On {where}, {answer}: {each}.")


def controls(material: Studies, base: str) -> str:
    """Return the figure of every control minus full and minus hard, its density beside its name."""
    rows = _controls(material, base)
    if rows.empty:
        return ""
    labels = [f"{row.mode}, {wording.percent(row.density)}" for row in rows.itertuples()]
    panels = [
        forest.Panel(
            f"minus {reference}",
            [_line(row, reference) for _, row in rows.iterrows()],
        )
        for reference in ("full", "hard")
    ]
    figure = forest.figure(labels, panels, "difference of accuracy (percentage points)")
    hard = rows[rows["mode"] == "hard"]
    compared = rows[rows["difference_points_to_hard"].notna()]
    below = compared[compared["high_points_to_hard"] < 0]
    above = compared[compared["low_points_to_hard"] > 0]
    caption = (
        f"Of {len(compared)} arms compared with hard, {len(below)} lie below it and {len(above)} "
        f"above it by an interval clear of zero. Beside each name: density on validation"
        f"{'' if hard.empty else ' (hard: ' + wording.percent(hard['density'].iloc[0]) + ')'}. "
        f"{_first_upper(studies.BASE_NAMES[base])}; validation and test together, n = "
        f"{wording.count(rows['n'].iloc[0])}. "
        f"{studies.method([*rows['seeds_to_full'], *rows['seeds_to_hard']])}{forest.note(panels)}"
    )
    return style.publish(
        figure,
        f"study_controls_{base}",
        material.figures,
        caption,
        "Forest plot of every mask minus full and minus hard, with intervals.",
    )


def table(material: Studies, base: str) -> str:
    """Return the table of every control with its density, accuracy and differences."""
    rows = _controls(material, base)
    if rows.empty:
        return ""
    hard = rows[rows["mode"] == "hard"]["density"]
    lines = [
        {
            "mask": row["mode"],
            "lets a token see": MODES[row["mode"]].allows if row["mode"] in MODES else "",
            "density": wording.percent(row["density"]),
            "equal to hard’s": _equal(row["density"], hard.iloc[0] if len(hard) else None),
            "accuracy": studies.spread(row["accuracy_mean"], row["accuracy_sd"]),
            "n": row["n"],
            "seeds": str(int(row["seeds"])),
        }
        | {
            key: value
            for reference in ("full", "hard")
            for key, value in _compared(row, reference).items()
        }
        for _, row in rows.iterrows()
    ]
    caption = (
        f"Every mask on {studies.BASE_NAMES[base]}, validation and test together. Accuracy: mean ± "
        f"standard deviation over seeds. Differences in points, over the seeds that both arms "
        f"have. Equal: within {NEAR:.0%} of hard’s density on validation. "
        f"{studies.method([*rows['seeds_to_full'], *rows['seeds_to_hard']])}"
    )
    return tables.as_html(
        pd.DataFrame(lines),
        f"study-controls-{base}",
        caption,
        {"n": wording.count},
        text=("mask", "lets a token see", "equal to hard’s", "test (full)", "test (hard)"),
    )


def absent(material: Studies, base: str) -> str:
    """Return the masks of the vocabulary for which this base has no finished arm, by name."""
    rows = _controls(material, base)
    known = set(rows["mode"]) if len(rows) else set()
    lacking = [mode for mode in MODES if mode not in known and mode != "soft_released"]
    if not lacking:
        return "Every mask of the vocabulary is shown."
    return f"Masks without any finished cell here: {wording.listing(lacking)}."


def _controls(material: Studies, base: str) -> pd.DataFrame:
    """Return one row a mask, of the arms that are plainly a mode, on both splits together."""
    rows = material.rows(base, "arms")
    if rows.empty:
        return rows
    plain = rows["arm"].isin([arm for mode in MODES if (arm := studies.arm_of(rows, mode))])
    rows = rows[plain & (rows["split"] == studies.ALL)].drop_duplicates("mode")
    order = {mode: place for place, mode in enumerate(studies.in_order(rows["mode"]))}
    return rows.sort_values("mode", key=lambda column: column.map(order)).reset_index(drop=True)


def _line(row: pd.Series, reference: str) -> forest.Line | None:
    if wording.is_missing(row[f"difference_points_to_{reference}"]):
        return None
    return forest.Line(
        row["mode"],
        *(row[f"{end}_points_to_{reference}"] for end in ("difference", "low", "high")),
    )


def _compared(row: pd.Series, reference: str) -> dict[str, str]:
    ends = [row[f"{end}_points_to_{reference}"] for end in ("difference", "low", "high")]
    seeds = row[f"seeds_to_{reference}"]
    return {
        f"minus {reference}": studies.estimate(*ends),
        f"p ({reference})": wording.p_value(row[f"p_to_{reference}"]),
        f"test ({reference})": f"{studies.test_of(seeds)}"
        + ("" if wording.is_missing(seeds) else f", {wording.seeds(int(seeds))}"),
    }


def _equal(density: float, hard: float | None) -> str:
    if hard is None or wording.is_missing(density):
        return wording.NONE
    return "yes" if abs(density / hard - 1) <= NEAR else "no"


def _control(question: str) -> str:
    return question.removeprefix("hard beats ").removesuffix(" at equal density")


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]
