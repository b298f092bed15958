"""Which published number owes what to which defect, and what pretraining has to do with it."""

import pandas as pd

from ggsa.evaluation import verdicts
from ggsa.evaluation.study_cells import PRETRAINED, SCRATCH
from ggsa.report import style, tables, wording
from ggsa.report.sections import studies
from ggsa.report.sections.studies import Studies, forest

NAMES = {
    "described": "as described",
    "D1": "D1: masked modes lose their projections",
    "D3": "D3: checkpoint chosen on validation",
    "recipe": "recipe of the released code",
    "released": "all of them: the released code",
}
MODES = ("full", "hard", "soft", "soft_released")
SPLITS = ("validation", "test")
STAND_IN = "the pretrained stand-in bert-tiny-imdb (not the paper’s checkpoint)"
PUBLISHED_AS = {
    ("described", "full"): "full",
    ("described", "hard"): "hard",
    ("described", "soft"): "soft",
    ("released", "full"): "full",
    ("released", "hard"): "hard",
    ("released", "soft_released"): "soft",
}
"""Which published number stands beside which line; the released code's soft mode is D4's."""


def finding(material: Studies) -> str:
    """Return which defect moves which mode on validation, and how the published numbers stand."""
    rows = material.rows(PRETRAINED, "defects")
    if rows.empty:
        return studies.finding(
            f"Not run: no defect was switched on yet, on {STAND_IN}. Which published number owes "
            f"what to which defect is open."
        )
    rows = rows[rows["split"] == "validation"]
    moved = rows[rows["difference_points_to_described"].notna()]
    if moved.empty:
        return studies.finding(
            f"On {STAND_IN}, no defect can be compared yet with the same mode as described."
        )
    told = moved[(moved["low_points_to_described"] > 0) | (moved["high_points_to_described"] < 0)]
    if len(told):
        which = "; ".join(
            f"{row['defect']} on {row['mode']} {_said(row)}" for _, row in told.iterrows()
        )
        text = (
            f"Of {len(moved)} comparisons of a mode under a defect with itself as described, "
            f"{len(told)} are clear of zero on validation: {which}."
        )
    else:
        top = moved.loc[moved["difference_points_to_described"].abs().idxmax()]
        text = (
            f"None of {len(moved)} comparisons of a mode under a defect with itself as described "
            f"is clear of zero on validation; the largest is {top['defect']} on {top['mode']}, "
            f"{_said(top)}."
        )
    return studies.finding(f"On {STAND_IN}: {text}{_published_beside(rows)}")


def figure(material: Studies) -> str:
    """Return the figure of every mode under every defect minus itself as described."""
    rows = material.rows(PRETRAINED, "defects")
    if rows.empty or rows["difference_points_to_described"].isna().all():
        return ""
    keys = [
        (defect, mode)
        for defect in NAMES
        for mode in MODES
        if (row := _row(rows, defect, mode, "validation")) is not None
        and not wording.is_missing(row["difference_points_to_described"])
    ]
    panels = [
        forest.Panel(split, [_line(_row(rows, *key, split)) for key in keys]) for split in SPLITS
    ]
    drawn = forest.figure(
        [f"{defect}: {mode}" for defect, mode in keys],
        panels,
        "accuracy minus that of the same mode as described (points)",
    )
    shown = rows[rows["difference_points_to_described"].notna()]
    sizes = wording.listing(
        f"{split} n = {wording.count(part['n'].iloc[0])}"
        for split in SPLITS
        if len(part := rows[rows["split"] == split])
    )
    caption = (
        f"What each defect alone, and all together, does to each mode: {_tally(shown)} Encoder: "
        f"{STAND_IN}; {sizes}. Choosing on validation (D3) can raise the figure there alone. "
        f"{studies.method(shown['seeds_to_described'])}{forest.note(panels)}"
    )
    return style.publish(
        drawn,
        "study_defects",
        material.figures,
        caption,
        "Forest plot of every mode under every defect minus the same mode as described.",
    )


def table(material: Studies, base: str = PRETRAINED) -> str:
    """Return the table of every mode under every defect, on SST-2 the published values beside."""
    rows = material.rows(base, "defects")
    if rows.empty:
        return ""
    lines = []
    for defect in NAMES:
        for mode in MODES:
            row = _row(rows, defect, mode, "validation")
            if row is None:
                continue
            test = _row(rows, defect, mode, "test")
            lines.append(
                {
                    "protocol": NAMES[defect],
                    "mode": mode,
                    "density": wording.percent(row["density"]),
                    "seeds": str(int(row["seeds"])),
                    "validation": studies.spread(row["accuracy_mean"], row["accuracy_sd"]),
                    "published": _published(defect, mode) if base == PRETRAINED else wording.NONE,
                    "next seed": wording.interval(row["prediction_low"], row["prediction_high"]),
                    "minus described": _to(row, "described"),
                    "p": wording.p_value(row["p_to_described"]),
                    "test of p": studies.test_of(row["seeds_to_described"]),
                    "minus full": _to(row, "full"),
                    "test split": studies.spread(test["accuracy_mean"], test["accuracy_sd"])
                    if test is not None
                    else wording.NONE,
                    "test split minus described": _to(test, "described"),
                }
            )
    n = {split: rows.loc[rows["split"] == split, "n"] for split in SPLITS}
    sizes = wording.listing(
        f"{wording.count(each.iloc[0])} {split} sentences" for split, each in n.items() if len(each)
    )
    where = STAND_IN if base == PRETRAINED else studies.BASE_NAMES[base]
    published = (
        "Defect D4 is the difference of the lines soft and soft_released: the published soft number "
        "was read from the latter’s table, so it stands beside soft as described and soft_released "
        "as released. "
        if base == PRETRAINED
        else "Only what exists without pretrained weights can be switched on here. "
    )
    caption = (
        f"Accuracy on {sizes}, {where}: mean ± standard deviation over seeds; differences on "
        f"validation unless said otherwise, in points. Next seed: where one further seed of ours "
        f"is expected (95%, Student). {published}{studies.method(rows['seeds_to_described'])}"
    )
    name = "study-defects" if base == PRETRAINED else f"study-defects-{base}"
    return tables.as_html(
        pd.DataFrame(lines), name, caption, text=("protocol", "mode", "test of p")
    )


def initialization_finding(material: Studies) -> str:
    """Return whether pretraining shows at all, without which nothing can be said of D1."""
    compared = material.rows(PRETRAINED, "initialization")
    row = studies.row_of(compared, mode="full", split=studies.ALL)
    if row is None:
        return studies.finding(
            f"Not run: full attention from {STAND_IN} has not been compared with full attention "
            f"from scratch. Verdict on D1: cannot tell here."
        )
    amount = studies.said(
        row["difference_points"], row["low_points"], row["high_points"], row["n"], row["seeds"]
    )
    text = f"Full attention from {STAND_IN} minus full attention from scratch is {amount}."
    if row["low_points"] > 0:
        return studies.finding(
            f"{text} Pretraining shows, so losing the pretrained projections (D1) can cost "
            f"something here; what it costs stands in the table of the defects."
        )
    return studies.finding(
        f"{text} The interval is not clear above zero, so that what D1 throws away is not shown "
        f"to be worth anything. Verdict on D1: cannot tell here."
    )


def initialization(material: Studies) -> str:
    """Return the table of both initializations side by side."""
    bases = {base: material.rows(base, "arms") for base in (SCRATCH, PRETRAINED)}
    compared = material.rows(PRETRAINED, "initialization")
    lines, seeds = [], []
    for mode in (*MODES, "diagonal"):
        found = {
            base: studies.row_of(rows, arm=studies.arm_of(rows, mode) or "", split=studies.ALL)
            for base, rows in bases.items()
        }
        if all(row is None for row in found.values()):
            continue
        row = studies.row_of(compared, mode=mode, split=studies.ALL)
        line: dict[str, str] = {"mode": mode}
        for base, name in ((SCRATCH, "from scratch"), (PRETRAINED, "bert-tiny-imdb")):
            one = found[base]
            line[name] = (
                wording.NONE
                if one is None
                else f"{studies.spread(one['accuracy_mean'], one['accuracy_sd'])} "
                f"({wording.seeds(int(one['seeds']))})"
            )
        if row is None:
            line |= dict.fromkeys(("difference", "p", "test", "clear of zero"), wording.NONE)
        else:
            seeds.append(row["seeds"])
            line |= {
                "difference": studies.estimate(
                    row["difference_points"], row["low_points"], row["high_points"]
                ),
                "p": wording.p_value(row["p"]),
                "test": f"{studies.test_of(row['seeds'])}, {wording.seeds(int(row['seeds']))}",
                "clear of zero": studies.clear(row["low_points"], row["high_points"]),
            }
        lines.append(line)
    if not lines:
        return ""
    sizes = {int(rows["n"].max()) for rows in bases.values() if len(rows)}
    caption = (
        f"Both initializations under the described protocol, each with its own recipe; validation "
        f"and test together, n = {wording.count(max(sizes))}; mean ± standard deviation over "
        f"seeds. Difference: bert-tiny-imdb minus from scratch, points. {studies.method(seeds)}"
    )
    return tables.as_html(
        pd.DataFrame(lines),
        "study-initialization",
        caption,
        text=("mode", "test", "clear of zero"),
    )


def _published_beside(rows: pd.DataFrame) -> str:
    parts = []
    for mode in ("full", "hard", "soft_released"):
        row = _row(rows, "released", mode, "validation")
        if row is None:
            continue
        value = verdicts.PUBLISHED[PUBLISHED_AS["released", mode]].accuracy
        if wording.is_missing(row["prediction_low"]):
            place = "one seed, so no interval for a further one"
        elif row["prediction_low"] <= value <= row["prediction_high"]:
            place = "inside the interval for a further seed"
        else:
            place = "outside the interval for a further seed"
        parts.append(
            f"{mode} {studies.spread(row['accuracy_mean'], row['accuracy_sd'])} (published "
            f"{wording.accuracy(value)}, {place}; {studies.basis(row['n'], row['seeds'])})"
        )
    if not parts:
        return " All defects together (released) were not run yet."
    return f" With all defects together: {wording.listing(parts)}."


def _published(defect: str, mode: str) -> str:
    name = PUBLISHED_AS.get((defect, mode))
    return wording.NONE if name is None else wording.accuracy(verdicts.PUBLISHED[name].accuracy)


def _row(rows: pd.DataFrame, defect: str, mode: str, split: str) -> pd.Series | None:
    return studies.row_of(rows, defect=defect, mode=mode, split=split)


def _ends(row: pd.Series, reference: str) -> list[float]:
    return [row[f"{end}_points_to_{reference}"] for end in ("difference", "low", "high")]


def _to(row: pd.Series | None, reference: str) -> str:
    return wording.NONE if row is None else studies.estimate(*_ends(row, reference))


def _line(row: pd.Series | None) -> forest.Line | None:
    if row is None or wording.is_missing(row["difference_points_to_described"]):
        return None
    return forest.Line(row["mode"], *_ends(row, "described"))


def _said(row: pd.Series) -> str:
    return studies.said(*_ends(row, "described"), row["n"], row["seeds_to_described"])


def _tally(shown: pd.DataFrame) -> str:
    parts = []
    for split in SPLITS:
        part = shown[shown["split"] == split]
        told = (part["low_points_to_described"] > 0) | (part["high_points_to_described"] < 0)
        parts.append(f"{int(told.sum())} of {len(part)} are clear of zero on {split}")
    return f"{wording.listing(parts)}."
