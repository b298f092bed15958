"""The table of experiments, and which of them are compared."""

import re

import pytest

from ggsa.training import comparing, experiments
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import DID_NOT_LEARN

TRAINED_ON = ("data/corpus", "data/tags", "data/encoder")


def revision(
    name: str | None,
    modes: dict[str, tuple[float, float | None]],
    changed: dict | None = None,
    other_data: tuple[str, ...] = (),
) -> dict:
    """One run as `dvc exp show --json` prints it; a mode has its accuracy and deviation.

    The run was trained on the same data as every other, but for the folders of `other_data`.
    """
    params = {"grid": {"seeds": [13, 42]}, "rules": {"drop": []}} | (changed or {})
    rows = {mode: {"accuracy": a, "sd": sd, "density": 0.5} for mode, (a, sd) in modes.items()}
    metrics = {"data": {"corpus": "sst2", **rows}} if modes else {"error": {"type": "missing"}}
    data = {
        "params": {"params.yaml": {"data": params}},
        "metrics": {"reports/metrics.json": metrics},
        "deps": {},
        "outs": {
            folder: {"hash": name if folder in other_data else "same"} for folder in TRAINED_ON
        },
    }
    return {"rev": "1234567", "name": name, "data": data, "error": None}


def shown(workspace: dict, *experiments: dict, state: str | None = None) -> list[dict]:
    """What `dvc exp show --json` prints of a workspace and the experiments of its commit."""
    executor = {"state": state} if state else None
    rows = [{"revs": [row], "executor": executor, "name": row["name"]} for row in experiments]
    head = revision("main", {"full": (0.1, 0.1)})  # of a lock file from elsewhere: never shown
    return [workspace | {"experiments": None}, head | {"experiments": rows}]


WORKSPACE = revision(None, {"full": (0.81, 0.01), "hard": (0.8, 0.02)})


DROPPED = revision(
    "without-ADJ-NOUN", {"full": (0.81, 0.01), "hard": (0.7912, None)},
    {"rules": {"drop": ["ADJ->NOUN"]}},
)  # fmt: skip


def test_experiments_are_shown_beside_the_workspace_with_difference_and_spread() -> None:
    text = comparing.table(shown(WORKSPACE, DROPPED))
    assert re.search(r"^workspace \(baseline\) +0\.8000 ± 0\.0200 +– +2 +0\.5000$", text, re.M)
    assert re.search(r"^without-ADJ-NOUN +0\.7912 +-0\.88 +2 +0\.5000$", text, re.M)
    assert "full: 0.8100 ± 0.0100 in each" in text
    assert 'without-ADJ-NOUN: rules.drop=["ADJ->NOUN"]' in text
    assert "main" not in text


def test_a_stale_workspace_lends_its_metrics_to_no_row() -> None:
    text = comparing.table(shown(WORKSPACE, DROPPED), ["check", "rules", "train@hard-13"])
    assert "stale (check, rules, ...)" in text and "`make repro`" in text
    assert not re.search(r"^workspace", text, re.M) and "0.8000" not in text
    assert "+0." not in text and "-0." not in text


def test_what_has_no_metrics_has_no_difference() -> None:
    text = comparing.table(shown(WORKSPACE, revision("empty", {})))
    assert re.search(r"^empty +– +– ", text, re.M)


@pytest.mark.parametrize("folder", TRAINED_ON)
def test_what_was_trained_on_other_data_has_no_difference_and_is_named(folder: str) -> None:
    other = revision("edited", {"full": (0.9, 0.1), "hard": (0.5, 0.1)}, other_data=(folder,))
    text = comparing.table(shown(WORKSPACE, other, DROPPED))
    assert len(re.findall(r"^edited +0\.[59]000 ± 0\.1000 +– ", text, re.M)) == 2
    assert re.search(r"^without-ADJ-NOUN +0\.7912 +-0\.88 ", text, re.M)
    sentence = f"edited was trained on other data than the workspace's run ({folder})"
    assert sentence in text and "without-ADJ-NOUN was" not in text
    assert max(map(len, text.splitlines())) <= 100
    # Without a baseline there is nothing to differ from.
    assert "other data" not in comparing.table(shown(WORKSPACE, other), ["tag"])


def test_an_experiment_that_changes_its_data_on_purpose_has_a_difference() -> None:
    deeper = {"encoder": {"layers": 4}}
    other = revision("deeper", {"hard": (0.9, 0.1)}, deeper, other_data=("data/encoder",))
    text = comparing.table(shown(WORKSPACE, other))
    assert re.search(r"^deeper +0\.9000 ± 0\.1000 +\+10\.00 ", text, re.M)
    assert "other data" not in text and "deeper: encoder.layers=4" in text


def test_a_difference_is_marked_if_more_than_one_parameter_differs() -> None:
    both = {"rules": {"drop": ["ADJ->NOUN"]}, "train": {"epochs": 3}}
    other = revision("other-recipe", {"full": (0.82, 0.01), "hard": (0.9, 0.1)}, both)
    text = comparing.table(shown(WORKSPACE, other, DROPPED))
    assert re.search(r"^other-recipe +0\.9000 ± 0\.1000 +\+10\.00\* ", text, re.M)
    assert re.search(r"^without-ADJ-NOUN +0\.7912 +-0\.88 ", text, re.M)
    assert "\n* More than one parameter differs" in text
    assert "*" not in comparing.table(shown(WORKSPACE, DROPPED))


def test_no_difference_follows_from_a_run_that_did_not_learn() -> None:
    failed, learned = (
        revision(name, {"hard": (0.5, 0.1)}, {"rules": {"drop": [name]}}) for name in "ab"
    )
    failed["data"]["metrics"]["reports/metrics.json"]["data"]["hard"]["verdict"] = DID_NOT_LEARN
    text = comparing.table(shown(WORKSPACE, failed, learned))
    assert re.search(rf"^a +0\.5000 ± 0\.1000 +{DID_NOT_LEARN} ", text, re.M)
    assert re.search(r"^b +0\.5000 ± 0\.1000 +-30\.00 ", text, re.M)
    text = comparing.table(shown(failed | {"name": None}, learned))
    assert re.search(r"^b +0\.5000 ± 0\.1000 +– ", text, re.M)


@pytest.mark.parametrize("rows", [(), (DROPPED,)])
def test_experiments_of_other_commits_are_counted(rows: tuple) -> None:
    here = len(rows)
    for other, said in ((1, "1 experiment is of other"), (2, "2 experiments are of other")):
        text = comparing.table(shown(WORKSPACE, *rows), recorded=here + other)
        assert said in text and "`dvc exp show --all-commits`" in text
    assert "other commits" not in comparing.table(shown(WORKSPACE, *rows), recorded=here)


DROP = {"rules.drop": ["ADJ->NOUN"]}


@pytest.mark.parametrize(
    ("changed", "other_data", "named"),
    [
        ({"rules": {"drop": ["ADJ->NOUN"]}, "train": {"epochs": 3}}, (), "train.epochs"),
        ({"rules": {"drop": ["ADJ->NOUN"], "add": []}}, (), "rules.add"),
        ({"rules": {"drop": ["ADJ->NOUN", "DET->NOUN"]}}, (), "rules.drop"),
        ({"rules": {"drop": ["ADJ->NOUN"]}, "grid": {"seeds": [13]}}, (), "grid.seeds"),
        *(({"rules": {"drop": ["ADJ->NOUN"]}}, (folder,), folder) for folder in TRAINED_ON),
    ],
)
def test_an_experiment_that_differs_in_more_than_its_rule_is_refused_with_what_differs(
    changed: dict, other_data: tuple, named: str
) -> None:
    comparing.require_comparable({"without-ADJ-NOUN": DROP}, shown(WORKSPACE, DROPPED))
    other = revision("without-ADJ-NOUN", {"hard": (0.5, 0.1)}, changed, other_data)
    with pytest.raises(UserError) as caught:
        comparing.require_comparable({"without-ADJ-NOUN": DROP}, shown(WORKSPACE, other))
    message = str(caught.value)
    assert f"without-ADJ-NOUN in {named}. Nothing was trained." in message
    assert "`dvc exp remove without-ADJ-NOUN`" in message and "\n" not in message


def test_the_table_of_experiments_fits_100_columns() -> None:
    modes = {f"mode{number}": (number / 20, 0.01) for number in range(12)}
    names = ["x" * experiments.MAX_NAME_LENGTH, "y" * experiments.MAX_NAME_LENGTH]
    changed = {"rules": {"drop": ["ADJ->NOUN"] * 30}}
    rows = [revision(name, {**modes, "hard": (0.7, 0.1)}, changed) for name in names]
    text = comparing.table(shown(WORKSPACE, *rows), ["train@hard-13"] * 9)
    assert max(map(len, text.splitlines())) <= 100
    assert all(name in text for name in names)


@pytest.mark.parametrize("rows", [(), (DROPPED,)])
def test_without_finished_experiments_the_table_says_how_to_make_one(rows: tuple) -> None:
    assert "make experiment" in comparing.table(shown(WORKSPACE, *rows, state="running"))
