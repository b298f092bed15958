"""Names, changes and the table of experiments."""

import shlex
import subprocess
import tempfile
from pathlib import Path

import pytest
from dvc.commands.experiments.show import show_experiments
from dvc.compare import TabularData
from dvc.exceptions import DvcException
from dvc.repo.experiments.refs import ExpRefInfo
from dvc.repo.experiments.utils import check_ref_format
from dvc.utils.hydra import apply_overrides
from hypothesis import example, given, settings
from hypothesis import strategies as st
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
    assert len(first) == len(second) <= experiments.MAX_NAME_LENGTH
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


HYDRA_KEY = st.from_regex(r"\A[A-Za-z_$.][A-Za-z0-9_$.,:(|-]{0,5}\Z").filter(
    lambda key: key.lower() not in {"null", "true", "false", "nan", "inf"}
)
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.text(alphabet="\\'\"${}[]:=,\t ab~#?!%@&*|>-.0e1")
    | st.sampled_from(["yes", "null", "2e-05", "${a}", "\\${a}", "1:30", "0x1", "2020-01-01"])
).filter(lambda value: value != "???")
VALUE = st.recursive(
    SCALAR,
    lambda item: st.lists(item, max_size=3) | st.dictionaries(HYDRA_KEY, item, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=200)
@given(value=VALUE)
@example(value=2e-5)
@example(value={"PRP$": "PRON", ",": "PUNCT"})
@example(value="a\\")
@example(value="a\tb\\n${HOME}")
def test_every_value_arrives_in_params_yaml_as_it_was_given(value: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        params = Path(folder) / "params.yaml"
        params.write_text("block: {key: {present: 1}, rate: 2.0e-5}\n")
        apply_overrides(params, experiments.overrides({"block.key": value}))
        content = config.parse_yaml(params.read_text(), params)
    assert repr(content) == repr({"block": {"key": value, "rate": 2e-5}})


@pytest.mark.parametrize("mapping", ["{\"''\": PUNCT}", "{ä: NOUN}", '{"1": NOUN}'])
def test_a_value_that_dvc_would_change_or_reject_is_refused_before_anything_runs(
    mapping: str, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.chdir(root)
    monkeypatch.setattr(experiments.subprocess, "run", lambda *_, **__: pytest.fail("it ran"))
    with pytest.raises(UserError, match=r"tagger\.mapping"):
        experiments.run(f"tagger.mapping={mapping}")


@pytest.mark.parametrize("target", ["experiment", "ablate"])
@pytest.mark.parametrize("text", ["a=${HOME}$(x)$y", "a='b c' d=\"e\"", "a=b\\tc\td\\", "a=2e-5"])
def test_make_hands_a_value_on_unchanged(target: str, text: str, root: Path) -> None:
    variable = {"experiment": "SET", "ablate": "RULES"}[target]
    command = ["make", "-n", "-o", ".venv/bin/.ready", target, f"{variable}={text}"]
    printed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    assert text in shlex.split(printed)


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
    with pytest.raises(UserError, match="ADJ->VERB is not a rule"):
        experiments.ablations(RULES, ["ADJ->VERB"])


def csv_of_dvc(rows: dict[str, list[str]]) -> str:
    """What DVC prints of experiments with the columns that `compare` chooses; empty cells are ''."""
    cells = TabularData([*rows], fill_value="")
    cells.extend(zip(*rows.values(), strict=True))
    show_experiments(
        cells, {}, keep=[experiments.KEPT_COLUMNS], drop=[experiments.DROPPED_COLUMNS],
        csv=True, only_changed=True,
    )  # fmt: skip
    return cells.to_csv()


def test_the_table_of_experiments_fits_100_columns_and_shows_what_differs() -> None:
    printed = csv_of_dvc(
        {
            "Experiment": ["", "without-ADJ-NOUN", "x" * experiments.MAX_NAME_LENGTH, "unfinished"],
            "rev": ["main", "ac81e7d", "0f49fb5", "1234567"],
            "typ": ["baseline", *["branch_commit"] * 3],
            "Created": ["1", "2", "3", "4"],
            "parent": [""] * 4,
            "State": ["", "", "", "Running"],
            "Executor": ["", "", "", "temp"],
            **{f"{mode}.accuracy": ["0.8123"] * 4 for mode in ("full", "hard", "soft")},
            "hard.density": ["0.2906", "0.2789", "0.27", "0.2"],
            "hard.f1": ["0.1", "0.2", "0.3", "0.4"],
            "rules.drop": ["[]", "['ADJ->NOUN']", str(["ADJ->NOUN"] * 9), "[]"],
            "train.threads": ["1"] * 4,
            "data/rules": ["a", "b", "c", "d"],
            "params.yaml": ["a", "b", "c", "d"],
            "src": ["a", "b", "c", "d"],
        },
    )
    lines = experiments.table(printed).splitlines()
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    for word in ("main", "without-ADJ-NOUN", "full.accuracy", "hard.density", "rules.drop"):
        assert word in text
    for word in (
        "Created",
        "State",
        "hard.f1",
        "train.threads",
        "data/rules",
        "params.yaml",
        "src",
    ):
        assert word not in text
    assert "unfinished" not in text


def test_without_experiments_the_table_says_how_to_make_one() -> None:
    row = {"Experiment": "", "rev": "main", "typ": "baseline", "State": "", "Executor": "",
           "full.accuracy": "0.8", "train.threads": "1"}  # fmt: skip
    printed = csv_of_dvc({name: [value] for name, value in row.items()})
    assert "make experiment" in experiments.table(printed)


def test_experiments_are_compared_by_the_filter_that_is_tested_here(monkeypatch) -> None:
    commands = []

    def record(command: list[str], **_: object) -> subprocess.CompletedProcess:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, "Experiment,rev,full.accuracy\n,main,0.8\n")

    monkeypatch.setattr(experiments.subprocess, "run", record)
    experiments.compare()
    show = commands[-1]
    assert show[:3] == ["dvc", "exp", "show"]
    assert {"--only-changed", "--hide-failed", "--hide-queued", "--hide-workspace"} <= {*show}
    for option, pattern in (
        ("--keep", experiments.KEPT_COLUMNS), ("--drop", experiments.DROPPED_COLUMNS)
    ):  # fmt: skip
        assert show[show.index(option) + 1] == pattern


def test_an_experiment_takes_the_users_own_files_along(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpora/mine").mkdir(parents=True)
    (tmp_path / "corpora/README.md").touch()
    given = experiments.arguments({"train.threads": 2}, "two")
    assert given[-2:] == ["--copy-paths", "corpora/mine"]
    assert given[0] == "evaluate"  # the report is rendered by who wants it
