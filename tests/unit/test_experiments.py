"""Names and changes of experiments, and when one runs."""

import re
import shlex
import subprocess
import tempfile
from pathlib import Path

import pytest
from dvc.exceptions import DvcException
from dvc.repo.experiments.refs import ExpRefInfo
from dvc.repo.experiments.utils import check_ref_format
from dvc.utils.hydra import apply_overrides
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scmrepo.git import Git

from ggsa.training import comparing, experiments
from ggsa.workspace import config
from ggsa.workspace.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
RULES = config.load(ROOT / "params.yaml").rules


@pytest.fixture(autouse=True)
def source_on_the_path_of_subprocesses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))


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
    | st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]))
    | st.text(alphabet="\\'\"${}[]:=,\t ab~#?!%@&*|>-.0e1")
    | st.sampled_from(["yes", "null", "2e-05", "${a}", "\\${a}", "1:30", "0x1", "2020-01-01"])
).filter(lambda value: value != "???")
VALUE = st.recursive(
    SCALAR,
    lambda item: st.lists(item, max_size=3) | st.dictionaries(HYDRA_KEY, item, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(value=VALUE)
@example(value=2e-5)
@example(value={"PRP$": "PRON", ",": "PUNCT"})
@example(value="a\\")
@example(value="a\tb\\n${HOME}")
def test_every_value_arrives_in_params_yaml_as_it_was_given(value: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        params = Path(folder) / "params.yaml"
        params.write_text("block:\n  key:\n    present: 1\n  rate: 2.0e-5\n")
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


PIPELINE = """
stages:
  check:
    cmd: mkdir -p data && touch data/checked.json
    deps: [params.yaml]
    outs: [data/checked.json]
  download:
    cmd: cp -r corpora data/corpus
    deps: [corpora, data/checked.json]
    outs: [data/corpus]
  rules:
    cmd: mkdir -p data/rules && cp params.yaml data/rules/hard.json
    params: [rules]
    deps: [data/checked.json]
    outs: [data/rules]
  train:
    matrix: {seed: "${grid.seeds}"}
    cmd: mkdir -p runs && cp data/rules/hard.json runs/${item.seed}
    deps: [data/corpus, data/rules/hard.json]
    outs: ["runs/${item.seed}"]
  evaluate:
    cmd: >-
      mkdir -p reports && echo
      '{"corpus": "x", "hard": {"accuracy": 0.5, "sd": null, "density": 1}}' > reports/metrics.json
    params: [evaluate]
    deps: [runs]
    outs: [reports/metrics.json]
metrics: [reports/metrics.json]
"""
"""The shape of the real graph: a cell depends on a file inside an output of `rules`."""


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose commit holds the lock file of a finished run."""
    folder = tmp_path_factory.mktemp("committed")
    params = (ROOT / "params.yaml").read_text()
    (folder / "params.yaml").write_text(re.sub(r"\n  seeds: .*", r"\n  seeds: [7]", params))
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / ".gitignore").write_text("/data\n/runs\n/reports\n/.cache\n/corpora/mine\n")
    (folder / "corpora").mkdir()
    (folder / "corpora/README.md").touch()
    git(folder, "init", "--quiet")
    for command in (["init", "--quiet"], ["repro", "--quiet", "evaluate"]):
        subprocess.run(["dvc", *command], cwd=folder, check=True)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    git(folder, "commit", "--quiet", "--message", "second", "--allow-empty")
    return folder


def clone_of(folder: Path, target: Path, *options: str) -> Path:
    git(folder, "clone", "--quiet", *options, folder.as_uri(), str(target))
    return target


def names_in(folder: Path) -> list[str]:
    listed = subprocess.run(
        ["dvc", "exp", "list", "--name-only"], cwd=folder, check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    return listed.stdout.split()


@pytest.mark.parametrize("command", [lambda: experiments.run("evaluate.seed=1", "one"),
                                     lambda: experiments.ablate(["ADJ->NOUN"])])  # fmt: skip
@pytest.mark.parametrize(
    ("options", "said"), [(("--depth=1",), "fetch --unshallow"), ((), "`make repro` once")]
)
def test_where_an_experiment_cannot_be_recorded_or_started_nothing_runs(
    command, options: tuple, said: str, committed: Path, tmp_path: Path, monkeypatch
) -> None:
    clone = clone_of(committed, tmp_path / "clone", *options)
    monkeypatch.chdir(clone)
    monkeypatch.setattr(experiments, "_record", lambda *_: pytest.fail("it ran"))
    with pytest.raises(UserError, match=said):
        command()


def test_outside_a_repository_an_experiment_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="not a Git repository"):
        experiments.require_ready()


def test_after_one_run_a_clone_takes_one_experiment_after_another(
    committed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    clone = clone_of(committed, tmp_path / "clone")
    monkeypatch.chdir(clone)
    subprocess.run(["dvc", "repro", "--quiet", "evaluate"], check=True)
    for seeds in ([7, 8], [7, 9]):  # of the second, rules and a cell come from the run cache
        name = f"seeds-{seeds[-1]}"
        experiments.run(f'rules.drop=["VERB->NOUN"] grid.seeds={seeds}', name)
        printed, warned = capfd.readouterr()
        assert f"{name}: " in printed and "hard: 0.5000 in each" in printed
        assert "dvc exp apply" not in printed + warned
        assert "No file hash info" not in printed + warned
    assert {*names_in(clone)} == {"seeds-8", "seeds-9"}
    params = clone / "params.yaml"
    params.write_text(params.read_text().replace("soft_strength: 5.0", "soft_strength: 4.0"))
    comparing.compare()
    printed = capfd.readouterr().out
    assert "No baseline" in printed
    assert "baseline)" not in printed and "soft_strength=5.0" in printed


def test_an_experiment_on_a_stale_run_stops_before_it_trains_and_names_what_is_stale(
    committed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = clone_of(committed, tmp_path / "clone")
    monkeypatch.chdir(clone)
    subprocess.run(["dvc", "repro", "--quiet", "evaluate"], check=True)
    started = []
    monkeypatch.setattr(experiments, "_record", lambda changed, name, _: started.append(name))
    experiments.ablate(["ADJ->NOUN"])
    assert started == ["without-ADJ-NOUN"]
    params = clone / "params.yaml"
    params.write_text(params.read_text().replace("soft_strength: 5.0", "soft_strength: 4.0"))
    messages = set()
    for start in (
        lambda: experiments.ablate(["VERB->NOUN"]),
        lambda: experiments.run("evaluate.seed=2", "two"),
    ):
        with pytest.raises(UserError) as caught:
            start()
        messages.add(str(caught.value))
    (message,) = messages
    assert started == ["without-ADJ-NOUN"] and "\n" not in message
    assert "which is stale: check, rules. Nothing was trained." in message
    assert "Run `make repro`" in message


def test_an_ablation_after_an_edit_of_the_users_own_file_refuses_the_experiments_before_it(
    committed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    clone = clone_of(committed, tmp_path / "clone")
    monkeypatch.chdir(clone)
    (clone / "corpora/mine").mkdir()
    (clone / "corpora/mine/train.csv").write_text("text,label\nGood.,pos\n")
    subprocess.run(["dvc", "repro", "--quiet", "evaluate"], check=True)
    experiments.ablate(["ADJ->NOUN"])
    monkeypatch.setattr(experiments, "_record", lambda *_: pytest.fail("it ran"))
    experiments.ablate(["ADJ->NOUN"])
    assert "without-ADJ-NOUN exists already" in capfd.readouterr().err
    (clone / "corpora/mine/train.csv").write_text("text,label\nGood.,neg\n")
    subprocess.run(["dvc", "repro", "--quiet", "evaluate"], check=True)
    with pytest.raises(UserError, match=r"without-ADJ-NOUN in data/corpus\. Nothing was trained"):
        experiments.ablate(["VERB->NOUN", "ADJ->NOUN"])
    comparing.compare()
    assert "without-ADJ-NOUN was trained on other data" in capfd.readouterr().out


def test_an_experiment_that_was_not_recorded_is_not_announced(
    committed: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(committed)
    monkeypatch.setattr(experiments, "arguments", lambda *_: ["--help"])  # exits with 0
    with pytest.raises(UserError, match="did not record"):
        experiments.run("evaluate.seed=1", "one")
    assert "Accuracy" not in capsys.readouterr().out


def test_an_experiment_takes_the_users_own_files_along(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpora/mine").mkdir(parents=True)
    (tmp_path / "corpora/README.md").touch()
    given = experiments.arguments({"train.threads": 2}, "two")
    assert given[-2:] == ["--copy-paths", "corpora/mine"]
    assert given[0] == "evaluate"  # the report is rendered by who wants it
