"""Tables for the plots of `dvc.yaml` that no table of the report serves.

Place in the data flow: the end of the evaluate stage. Reads `reports/tables/` and the cells'
predictions; writes `reports/plots/`, which `dvc plots show`, `dvc plots diff` and the editors draw.
No table holds text of the corpus. The report has figures of its own and reads none of these.
"""

import numpy as np
import pandas as pd

from ggsa.evaluation.outcomes import Outcome, read_outcomes
from ggsa.workspace import paths
from ggsa.workspace.config import Params
from ggsa.workspace.provenance import class_names, read_provenance
from ggsa.workspace.tables import read_table, write_table

SPLIT = "validation"


def write_tables(params: Params, study: str = "core") -> None:
    """Write the tables of reports/plots, after `evaluation.evaluate`.

    Raises:
        UserError: If a table or a cell of the grid is missing or damaged.
    """
    runs = read_table(paths.TABLES / "runs.csv", ("mode", "seed", "split", "accuracy"))
    costs = read_table(paths.TABLES / "cost.csv", ("mode", "split", "density"))
    outcome = read_outcomes(params, study)[SPLIT]
    tables = {
        "accuracy_by_density": accuracy_by_density(runs, costs),
        "confusion": confusion(outcome, class_names(read_provenance())),
    }
    for name, table in tables.items():
        write_table(paths.PLOTS / f"{name}.csv", table)


def accuracy_by_density(runs: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """Return accuracy and density of every cell on the validation split."""
    densities = costs.loc[costs["split"] == SPLIT, ["mode", "density"]]
    accuracies = runs.loc[runs["split"] == SPLIT, ["mode", "seed", "accuracy"]]
    return accuracies.merge(densities, on="mode", validate="many_to_one").reset_index(drop=True)


def confusion(outcome: Outcome, names: tuple[str, ...]) -> pd.DataFrame:
    """Return the label of every sentence, once for each seed, and what every mode predicted.

    Args:
        outcome: Of the split.
        names: Of the classes, in the order of the labels.
    """
    known = np.array(names)
    rows = {
        "seed": np.repeat(outcome.seeds, len(outcome.labels)),
        "label": known[np.tile(outcome.labels, len(outcome.seeds))],
    }
    predicted = {mode: known[labels.ravel()] for mode, labels in outcome.predicted.items()}
    return pd.DataFrame(rows | predicted)
