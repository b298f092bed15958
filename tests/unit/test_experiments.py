"""Names, changes and the table of experiments."""

from pathlib import Path

import pandas as pd
import pytest
from dvc.exceptions import DvcException
from dvc.repo.experiments.refs import ExpRefInfo
from dvc.repo.experiments.utils import check_ref_format
from scmrepo.git import Git

from ggsa.training import experiments
from ggsa.workspace import config
from ggsa.workspace.errors import UserError

RULES = config.load(Path(__file__).resolve().parents[2] / "params.yaml").rules


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('rules.drop=["ADJ->NOUN"]', "without-ADJ-NOUN"),
        ("rules.drop=[VERB->NOUN, ADJ->NOUN]", "without-VERB-NOUN-ADJ-NOUN"),
        ("rules.add=[ADJ->VERB]", "with-ADJ-VERB"),
        ('rules.drop=["ADJ->NOUN"] train.threads=2', "without-ADJ-NOUN_train.threads-2"),
        ("rules.soft_strength=-1", "rules.soft_strength-minus-1"),
        ("rules.drop=[]", "without-nothing"),
        ("protocol=released", "protocol-released"),
    ],
)
def test_a_name_says_what_is_changed(text: str, name: str) -> None:
    assert experiments.name_of(experiments.changes(text)) == name


def test_a_long_name_is_cut_and_two_of_them_differ() -> None:
    first, second = (
        experiments.name_of({"rules.drop": [*(f"ADJ->{tag}" for tag in "ABCDEFGHIJKLMN"), last]})
        for last in ("X->Y", "X->Z")
    )
    assert len(first) == len(second) <= experiments.LONGEST_NAME
    assert first != second


def test_git_takes_every_name(tmp_path: Path) -> None:
    git = Git.init(str(tmp_path))
    for text in ("rules.add=['[CLS]->X', 'a..b', '~^: ?*']", "x.y=../..", "a.b={c: 0.5}"):
        name = experiments.name_of(experiments.changes(text))
        try:
            check_ref_format(git, ExpRefInfo("0" * 40, name))
        except DvcException as error:
            raise AssertionError(name) from error


def test_values_are_read_as_params_yaml_would_hold_them() -> None:
    text = "rules.drop=[ADJ->NOUN, DET->NOUN]  train.recipes.probe.learning_rate=5e-4 a=null"
    changed = experiments.changes(text)
    assert changed == {
        "rules.drop": ["ADJ->NOUN", "DET->NOUN"],
        "train.recipes.probe.learning_rate": 5e-4,
        "a": None,
    }
    assert experiments.arguments(changed, "n")[2] == (
        '--set-param=rules.drop=["ADJ->NOUN", "DET->NOUN"]'
    )


@pytest.mark.parametrize("text", ["", "threads", "train.threads 2", "train.threads=[1"])
def test_what_is_no_change_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UserError):
        experiments.changes(text)


def test_a_misspelled_key_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.chdir(root)
    monkeypatch.setattr(experiments.subprocess, "run", lambda *_, **__: pytest.fail("it ran"))
    with pytest.raises(UserError, match="Did you mean drop"):
        experiments.run("rules.dorp=[ADJ->NOUN]")


def test_an_ablation_leaves_out_each_rule_in_turn() -> None:
    every = experiments.ablations(RULES, [])
    assert len(every) == len({experiments.name_of(changed) for changed in every})
    assert experiments.ablations(RULES, ["VERB->NOUN"]) == [{"rules.drop": ["VERB->NOUN"]}]
    with pytest.raises(UserError, match="ADJ->VERB is no rule"):
        experiments.ablations(RULES, ["ADJ->VERB"])


def test_the_table_of_experiments_fits_100_columns_and_shows_what_differs() -> None:
    shown = pd.DataFrame(
        {
            "Experiment": ["", "without-ADJ-NOUN", "x" * experiments.LONGEST_NAME, "going-on"],
            "rev": ["main", "ac81e7d", "0f49fb5", "1234567"],
            "Created": ["1", "2", "3", "4"],
            "State": ["", "", "Success", "Running"],
            **{f"{mode}.accuracy": ["0.81234567"] * 4 for mode in ("full", "hard", "soft")},
            "hard.density": ["0.29063412", "0.27896512", "0.27", "0.2"],
            "hard.f1": ["0.1", "0.2", "0.3", "0.4"],
            "rules.drop": ["[]", "['ADJ->NOUN']", str(["ADJ->NOUN"] * 9), "[]"],
            "train.threads": ["1"] * 4,
            "data/rules": ["a", "b", "c", "d"],
            "params.yaml": ["a", "b", "c", "d"],
        }
    )
    text = experiments.table(shown)
    assert max(map(len, text.splitlines())) <= 100
    for word in ("main", "without-ADJ-NOUN", "full.accuracy", "hard.density", "rules.drop"):
        assert word in text
    for word in ("Created", "hard.f1", "train.threads", "data/rules", "params.yaml", "going-on"):
        assert word not in text
    assert "0.2906" in text and "0.29063412" not in text


def test_without_experiments_the_table_says_how_to_make_one() -> None:
    shown = pd.DataFrame(
        {"rev": ["main"], "full.accuracy": ["0.8"]}
    )  # DVC leaves out what is empty
    assert "make experiment" in experiments.table(shown)


def test_an_experiment_takes_the_users_own_files_along(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpora/mine").mkdir(parents=True)
    (tmp_path / "corpora/README.md").touch()
    given = experiments.arguments({"train.threads": 2}, "two")
    assert given[-2:] == ["--copy-paths", "corpora/mine"]
