"""Tables for the plots of `dvc.yaml` that no table of the report serves.

Place in the data flow: the end of the evaluate stage. Reads `reports/tables/` and the cells'
predictions; writes `reports/plots/`, which `dvc plots show`, `dvc plots diff` and the editors draw.
No table holds text of the corpus. The report has figures of its own and reads none of these.
"""

import numpy as np
import pandas as pd

from ggsa.evaluation.finished_cells import Results
from ggsa.workspace import paths
from ggsa.workspace.provenance import class_names, read_provenance
from ggsa.workspace.tables import read_table, write_table

SPLIT = "validation"


def write_tables(results: Results) -> None:
    """Write the tables of reports/plots, after those of reports/tables.

    Raises:
        UserError: If a table is missing or damaged.
    """
    runs = read_table(paths.TABLES / "runs.csv", ("mode", "seed", "split", "accuracy"))
    costs = read_table(paths.TABLES / "cost.csv", ("mode", "split", "density"))
    tables = {
        "accuracy_by_density": accuracy_by_density(runs, costs),
        "confusion": confusion(results, class_names(read_provenance())),
    }
    for name, table in tables.items():
        write_table(paths.PLOTS / f"{name}.csv", table)


def accuracy_by_density(runs: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """Return accuracy and density of every cell on the validation split."""
    densities = costs.loc[costs["split"] == SPLIT, ["mode", "density"]]
    accuracies = runs.loc[runs["split"] == SPLIT, ["mode", "seed", "accuracy"]]
    return accuracies.merge(densities, on="mode", validate="many_to_one").reset_index(drop=True)


def confusion(results: Results, names: tuple[str, ...]) -> pd.DataFrame:
    """Return the label of every sentence, once for each seed, and what every mode predicted.

    Args:
        results: The finished cells.
        names: Of the classes, in the order of the labels.
    """
    known, chosen = np.array(names), results.rows(SPLIT)
    labels = results.labels[chosen]
    rows = {
        "seed": np.repeat(results.seeds, len(labels)),
        "label": known[np.tile(labels, len(results.seeds))],
    }
    predicted = {
        mode: known[classes[:, chosen].ravel()] for mode, classes in results.predicted.items()
    }
    return pd.DataFrame(rows | predicted)
