"""The tables that DVC draws, and how dvc.yaml has them drawn."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from ggsa.evaluation import plots
from ggsa.evaluation.finished_cells import Results

ROOT = Path(__file__).resolve().parents[2]
PLOTS = {
    name: about
    for each in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    for name, about in each.items()
}


def test_every_cell_is_a_point_at_the_density_of_its_mode() -> None:
    runs = pd.DataFrame(
        {
            "mode": ["full", "hard", "hard", "hard"],
            "seed": [1, 1, 2, 1],
            "split": ["validation", "validation", "validation", "test"],
            "accuracy": [0.8, 0.7, 0.75, 0.1],
        }
    )
    costs = pd.DataFrame(
        {
            "mode": ["full", "hard", "hard"],
            "split": ["validation", "validation", "test"],
            "density": [1.0, 0.3, 0.9],
        }
    )
    assert plots.accuracy_by_density(runs, costs).to_dict("list") == {
        "mode": ["full", "hard", "hard"],
        "seed": [1, 1, 2],
        "accuracy": [0.8, 0.7, 0.75],
        "density": [1.0, 0.3, 0.3],
    }


def test_the_confusion_pairs_every_label_with_what_each_mode_predicted() -> None:
    sentences = {"split": ["validation", "validation", "test"], "id": [0, 1, 0], "label": [0, 1, 0]}
    predicted = {"full": np.array([[0, 1, 1], [1, 1, 1]]), "hard": np.array([[0, 0, 1], [0, 1, 1]])}
    results = Results(pd.DataFrame(sentences), (1, 2), predicted, {}, pd.DataFrame(), {}, classes=2)
    assert plots.confusion(results, ("negative", "positive")).to_dict("list") == {
        "seed": [1, 1, 2, 2],
        "label": ["negative", "positive", "negative", "positive"],
        "full": ["negative", "positive", "positive", "positive"],
        "hard": ["negative", "negative", "negative", "positive"],
    }


def test_every_plot_has_a_title_and_named_axes() -> None:
    assert {"loss", "selection accuracy", "accuracy by density", "confusion"} == set(PLOTS)
    for about in PLOTS.values():
        assert {"title", "template", "x", "y", "x_label", "y_label"} == set(about)
        assert (
            about["template"] == "confusion"
            or (ROOT / ".dvc/plots" / f"{about['template']}.json").is_file()
        )
