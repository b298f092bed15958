"""Every published verdict is what an independent computation from the predictions says."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from verdict_audit import Material, of_core, of_study, problems

ROOT = Path(__file__).resolve().parents[2]
STUDIES = [
    (path.parents[2].name, path.parents[1].name)
    for path in sorted((ROOT / "reports/published/studies").glob("*/*/tables/verdicts.csv"))
]


@pytest.mark.parametrize(("name", "corpus"), STUDIES)
def test_every_verdict_of_a_study_follows_from_its_predictions(name: str, corpus: str) -> None:
    declared = yaml.safe_load((ROOT / "studies" / name / "params.yaml").read_text())
    found = of_study(ROOT, name, corpus)
    assert bool(len(found.verdicts)) == bool(declared.get("families"))
    assert problems(found) == []


@pytest.fixture
def core() -> Material:
    if not (ROOT / "reports/published/tables/verdicts.csv").is_file():
        pytest.skip("no run is published yet: `make publish` writes reports/published")
    return copy.deepcopy(of_core(ROOT))


def test_every_verdict_of_core_follows_from_its_predictions(core: Material) -> None:
    assert len(core.verdicts) == len(core.questions) >= 3
    assert problems(core) == []


def without_a_row(found: Material) -> Material:
    return found._replace(verdicts=found.verdicts.iloc[1:])


def without_a_cell(found: Material) -> Material:
    found.right.popitem()
    return found


def with_another_machine(found: Material) -> Material:
    key = next(iter(found.machines))
    found.machines[key] = json.loads(json.dumps(found.machines[key])) | {"cpu_model": "another"}
    return found


def with_another_word(found: Material) -> Material:
    found.verdicts.loc[0, "verdict"] = "headroom shown"
    return found


def with_uncorrected_p(found: Material) -> Material:
    chosen = found.verdicts["family"].duplicated(keep=False)
    found.verdicts.loc[chosen, "p_two_sided_holm"] = found.verdicts.loc[chosen, "p_two_sided"]
    return found


def with_fewer_seeds(found: Material) -> Material:
    return found._replace(verdicts=found.verdicts.assign(seeds=3))


def with_another_prediction(found: Material) -> Material:
    table = next(iter(found.right.values()))
    table["right"] = ~table["right"]
    return found


def with_an_arm_at_the_majority_class(found: Material) -> Material:
    for (arm, _), table in found.right.items():
        if arm == "hard":
            table["right"] = table["label"] == table["label"].mode().iloc[0]
    return found


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (without_a_row, "no row answers"),
        (without_a_cell, "cells are missing"),
        (with_another_machine, "several machines"),
        (with_another_word, "verdict: published 'headroom shown'"),
        (with_uncorrected_p, "p_two_sided_holm: published"),
        (with_fewer_seeds, "seeds: published"),
        (with_another_prediction, "difference_points: published"),
        (with_an_arm_at_the_majority_class, "recomputed 'no verdict: hard did not learn'"),
    ],
)
def test_a_planted_violation_is_found(
    core: Material, plant: Callable[[Material], Any], said: str
) -> None:
    found = problems(plant(core))
    assert any(said in problem for problem in found), found
