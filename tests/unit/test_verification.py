"""What `make verify` finds in a small published run, made here by the functions that publish."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ggsa.evaluation import answers, core, cost, outcomes
from ggsa.patterns.pattern import Pattern
from ggsa.report import publish, tables, verification
from ggsa.report.verification import __main__ as command
from ggsa.report.verification import recorded, rederived
from ggsa.workspace import artifacts, config, paths
from ggsa.workspace.tables import write_table
from ggsa.workspace.vocabulary import TAGS

ROOT = Path(__file__).parents[2]
MODES, SEEDS, ROWS = ("full", "hard", "soft"), (1, 2), {"validation": 30, "test": 40}
PLAN, CELLS = (paths.RESULTS / "controls/sst2" / name for name in ("plan", "cells"))
LOCK = paths.STUDIES / "controls" / "dvc.lock"
DERIVED = [name for name in rederived.TABLES if name != "cost"]
in_a_fresh_copy = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def write_predictions(path, seed):
    generator, parts = np.random.default_rng(seed), []
    for split, rows in ROWS.items():
        labels = np.arange(rows) % 2
        logits = [list(row) for row in generator.normal(size=(rows, 2))]
        content = {"split": split, "id": np.arange(rows), "label": labels, "logits": logits}
        parts.append(pd.DataFrame(content))
    write_table(path, pd.concat(parts))


def pattern(mode):
    bias = np.zeros((len(TAGS), len(TAGS)), np.float32)
    if mode == "hard":
        bias[:] = np.where(np.eye(len(TAGS)), 0, -np.inf)
    return Pattern(mode=mode, tags=TAGS, bias=bias)


def write_core():
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["grid"] = {"modes": list(MODES), "seeds": list(SEEDS)}
    content["evaluate"]["bootstrap_samples"] = 100
    for path in (paths.PARAMS, paths.PUBLISHED / "params.yaml"):
        artifacts.write_text(path, yaml.safe_dump(content))
    params = config.parse(content)
    encoder = {"checkpoint": None, "pretrained": False, "is_paper_checkpoint": False}
    encoder["source"] = "from_scratch"
    corpus = {"name": "sst2", "source": "mirror"}
    provenance = {"is_sst2": True, "corpus": corpus, "encoder": encoder, "substitutes": []}
    artifacts.write_json(paths.PUBLISHED / "provenance.json", provenance)
    for number, (mode, seed) in enumerate((m, s) for m in MODES for s in SEEDS):
        write_predictions(rederived.prediction_file(mode, seed), number)

    found = outcomes.outcomes_of(params.grid, rederived.prediction_file)
    generator = np.random.default_rng(0)
    counts = {split: generator.integers(0, 3, (rows, len(TAGS))) for split, rows in ROWS.items()}
    counts[outcomes.POOLED] = np.concatenate(list(counts.values()))
    sizes = cost.Architecture(layers=2, hidden=16, feed_forward=32)
    made = core.prediction_tables(found, params.evaluate)
    made["cost"] = core.cost_table({m: pattern(m) for m in MODES}, counts, sizes)
    setting = core.setting_of(provenance)
    made |= core.concluding_tables(made, setting)
    notes = core.table_notes(params.grid, params.rules, setting, list(found))
    for name, table in made.items():
        write_table(rederived.COMPUTED_TABLES / f"{name}.csv", table)
        if name in core.IN_MARKDOWN:
            text = core.markdown(table, notes.get(name, []))
            artifacts.write_text(rederived.COMPUTED_TABLES / f"{name}.md", text)
    metrics = core.metrics(made["results"], provenance)
    artifacts.write_json(paths.PUBLISHED / "metrics.json", metrics)
    artifacts.write_text(paths.PUBLISHED / "report.html", "<p>a report</p>\n")
    artifacts.write_text(paths.PUBLISHED / "figures" / "accuracy.png", "a figure")
    results = tables.read(rederived.COMPUTED_TABLES, "results")
    block = publish.readme_block(results, provenance)
    empty = f"# Title\n\n{publish.BEGIN}\n{publish.END}\n"
    artifacts.write_text(publish.README, publish.with_block(empty, block))


def write_study():
    side = {"data": "data", "arms": ["random"], "seeds": [1, 2]}
    study = {"study": "controls", "question": "?", "overrides": {}, "arms": {"random": {}}}
    artifacts.write_text(LOCK.with_name("params.yaml"), yaml.safe_dump({**study, "sst2": side,
                         "probe": {**side, "data": "data/probe"}}))  # fmt: skip
    stages = {}
    artifacts.write_text(PLAN / "density.csv", "arm,seed,density\nrandom,1,0.3\nrandom,2,0.3\n")
    for seed in (1, 2):
        plan, cell = PLAN / f"random-{seed}.json", CELLS / f"random-{seed}.parquet"
        artifacts.write_json(plan, {"seed": seed})
        write_predictions(cell, 10 + seed)
        artifacts.write_json(cell.with_suffix(".json"), {"seed": seed})
        files = (cell, cell.with_suffix(".json"))
        stages[f"train_sst2@random-{seed}"] = {
            "deps": [{"path": str(plan), "md5": recorded.md5(plan)}],
            "outs": [{"path": str(path), "md5": recorded.md5(path)} for path in files],
        }
    plans = {"path": str(PLAN), "md5": recorded.folder_md5(PLAN)}
    stages["plan_sst2"] = {"deps": [{"path": "data/corpus", "md5": "0.dir"}], "outs": [plans]}
    artifacts.write_text(LOCK, yaml.safe_dump({"schema": "2.0", "stages": stages}))
    artifacts.write_text(CELLS.parent / "seconds.csv", "cell,seconds\nrandom-1,60\n")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A repository with a published run and a study, as Git would hand it out."""
    root = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        write_core()
        write_study()
        publish.write_manifest(paths.MANIFEST, publish.hashed_files())
    return root


@pytest.fixture
def fresh(published, tmp_path, monkeypatch):
    """Give a function that makes a fresh copy of the repository and goes there."""

    def copy():
        monkeypatch.chdir(tmp_path.parent)
        shutil.rmtree(tmp_path)
        shutil.copytree(published, tmp_path)
        monkeypatch.chdir(tmp_path)

    copy()
    return copy


def differences():
    return [item for check in verification.verify() for item in check.differences]


def named():
    return {difference.file for difference in differences()}


def published_files():
    return sorted(str(p) for p in paths.PUBLISHED.rglob("*") if p.is_file())


def flip(path, row):
    table = pd.read_parquet(path)
    table["logits"] = [
        logits[::-1] if number == row else logits for number, logits in enumerate(table["logits"])
    ]
    write_table(path, table)


def test_an_untouched_copy_passes_and_says_how_much_was_checked(fresh, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["verify"])
    command.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "tables re-derived from predictions: 8 of 8 equal",
        "their Markdown and the metrics: 7 of 7 equal",
        "result table of the README: 1 of 1 equal",
        "files of the published run by SHA-256: 25 of 25 equal",
        "files of controls by its dvc.lock: 7 of 7 equal",
        "Everything published is as it was computed.",
    ]


def test_a_difference_ends_in_exit_code_1(fresh, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["verify"])
    (paths.PUBLISHED / "report.html").write_text("<p>another</p>\n")
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert str(stopped.value.code).startswith("\n1 difference found.")
    assert "report.html: is not as recorded" in capsys.readouterr().out


@in_a_fresh_copy
@given(
    mode=st.sampled_from(MODES),
    seed=st.sampled_from(SEEDS),
    row=st.integers(0, sum(ROWS.values()) - 1),
)
def test_one_altered_prediction_is_found_even_if_its_hash_is_mended(fresh, mode, seed, row):
    fresh()
    path = rederived.prediction_file(mode, seed)
    flip(path, row)
    assert str(path) in named()
    publish.write_manifest(paths.MANIFEST, publish.hashed_files())
    split = "validation" if row < ROWS["validation"] else "test"
    found = [d for d in differences() if d.file == str(rederived.COMPUTED_TABLES / "runs.csv")]
    assert any(f"({mode} {seed} {split}), column correct" in d.found for d in found)


def test_an_altered_logit_that_changes_no_class_is_found_by_its_hash(fresh):
    path = rederived.prediction_file("soft", 1)
    table = pd.read_parquet(path)
    table["logits"] = [2 * logits for logits in table["logits"]]
    write_table(path, table)
    assert named() == {str(path)}


@in_a_fresh_copy
@given(name=st.sampled_from(DERIVED), data=st.data())
def test_an_altered_cell_of_a_table_is_found_with_its_row_and_column(fresh, name, data):
    fresh()
    path = rederived.COMPUTED_TABLES / f"{name}.csv"
    table = rederived.read_text(path)
    row = data.draw(st.integers(0, len(table) - 1))
    column = data.draw(st.sampled_from(list(table)))
    old = table.loc[row, column]
    table.loc[row, column] = f"9{old}"
    table.to_csv(path, index=False, lineterminator="\n")
    publish.write_manifest(paths.MANIFEST, publish.hashed_files())
    found = [d.found for d in differences() if d.file == str(path)]
    assert len(found) == 1
    assert found[0].startswith(f"row {row + 1}")
    assert f"column {column}: published 9{old}, recomputed " in found[0]


def test_an_altered_share_of_the_cost_table_is_computed_again(fresh):
    path = rederived.COMPUTED_TABLES / "cost.csv"
    table = rederived.read_text(path)
    table.loc[1, "saving_model"] = "0.5"
    table.to_csv(path, index=False, lineterminator="\n")
    publish.write_manifest(paths.MANIFEST, publish.hashed_files())
    found = [d.found for d in differences() if d.file == str(path)]
    assert [text.split(":")[0] for text in found] == [
        "row 2 (hard validation), column saving_model"
    ]


@pytest.mark.parametrize("what", ["alter", "remove"])
def test_every_published_file_is_named_when_it_is_altered_or_removed(fresh, what):
    def by_hash():
        checks = [recorded.check_manifest(), *recorded.check_studies()]
        return {found.file for check in checks for found in check.differences}

    for file in published_files():
        if Path(file).name in recorded.UNRECORDED:
            continue
        content = Path(file).read_bytes()
        Path(file).unlink()
        if what == "alter":
            Path(file).write_bytes(content + b"\n")
        folder = str(PLAN)  # a folder is recorded as a whole, and named where its file has no entry
        assert file in by_hash() or (file.startswith(folder) and folder in by_hash()), file
        Path(file).write_bytes(content)
    assert not by_hash()


def test_missing_predictions_and_tables_are_named(fresh):
    table, predictions = (
        rederived.COMPUTED_TABLES / "mcnemar.csv",
        rederived.RUNS / "hard-2.parquet",
    )
    table.unlink()
    (check, *_) = rederived.check_core()
    assert [found.file for found in check.differences] == [str(table)]
    predictions.unlink()
    (check,) = rederived.check_core()
    assert [found.file for found in check.differences] == [str(predictions)]


@pytest.mark.parametrize(
    "file",
    [
        paths.PUBLISHED / "more.txt",
        paths.PUBLISHED / "runs/hard-99.parquet",
        paths.PUBLISHED / "tables/more.csv",
        PLAN / "random-99.json",
        CELLS / "random-99.parquet",
        paths.RESULTS / "unknown/sst2/cells/full-1.parquet",
    ],
)
def test_a_file_that_nothing_records_is_found(fresh, file):
    artifacts.write_text(file, "more\n")
    assert str(file) in named()


def test_a_plan_that_was_changed_after_its_cell_was_trained_is_found(fresh):
    plan = PLAN / "random-2.json"
    artifacts.write_json(plan, {"seed": 3})
    content = yaml.safe_load(LOCK.read_text())
    content["stages"]["plan_sst2"]["outs"][0]["md5"] = recorded.folder_md5(PLAN)
    artifacts.write_text(LOCK, yaml.safe_dump(content))
    (found,) = differences()
    assert found.file == str(plan)
    assert "train_sst2@random-2" in found.found


def test_a_changed_result_table_in_the_readme_is_found(fresh):
    text = publish.README.read_text(encoding="utf-8")
    publish.README.write_text(text.replace("| hard ", "| Hard "), encoding="utf-8")
    assert named() == {str(publish.README)}


def test_a_missing_manifest_is_said(fresh):
    paths.MANIFEST.unlink()
    assert [d.file for d in differences()] == [str(paths.MANIFEST)]


def test_a_benchmark_is_held_against_the_hashes_that_were_taken_when_it_was_measured(fresh):
    paths.BENCHMARK.mkdir()
    results = paths.BENCHMARK / "results.csv"
    results.write_text("length,ratio\n512,0.5\n")
    publish.write_manifest(paths.BENCHMARK / "SHA256SUMS", publish.benchmark_files())
    assert not differences()
    results.write_text("length,ratio\n512,0.4\n")
    assert [d.file for d in differences()] == [str(results)]


def test_answers_are_written_again_and_compared(fresh, monkeypatch):
    folder = paths.RESULTS / "answers/sst2/tables"

    def write(corpus, settings, target):
        assert corpus == "sst2"
        assert settings.bootstrap_samples == 100
        table = pd.DataFrame({"arm": ["hard", "random"], "p": [0.123456789, 0.5]})
        write_table(target / "arms.csv", table)

    monkeypatch.setattr(answers, "write", write)
    write("sst2", config.load().evaluate, folder)
    (check,) = rederived.check_all_answers()
    assert str(check) == "answers on sst2 re-derived from predictions: 1 of 1 equal"
    assert not differences()

    path = folder / "arms.csv"
    path.write_text(path.read_text().replace("0.5", "0.6"))
    (found,) = differences()
    assert (found.file, found.found) == (
        str(path),
        "row 2 (random), column p: published 0.6, recomputed 0.5",
    )
    artifacts.write_text(folder / "more.csv", "a\n1\n")
    assert str(folder / "more.csv") in named()


def test_the_hash_of_a_folder_is_that_of_dvc(tmp_path):
    tree = Tree()
    for name in ("b.json", "a_b.json", "a-b.json", "deep/c.txt"):
        artifacts.write_text(tmp_path / name, name)
        tree.add(tuple(name.split("/")), None, HashInfo("md5", recorded.md5(tmp_path / name)))
    tree.digest()
    assert recorded.folder_md5(tmp_path) == tree.hash_info.value


def test_the_manifest_is_what_sha256sum_reads(fresh):
    lines = paths.MANIFEST.read_text().splitlines()
    assert lines == sorted(lines, key=lambda line: line.split("  ")[1])
    assert not any("studies/" in line or paths.MANIFEST.name in line for line in lines)
    expected = hashlib.sha256((paths.PUBLISHED / "metrics.json").read_bytes()).hexdigest()
    assert f"{expected}  metrics.json" in lines
    if shutil.which("sha256sum"):
        command_line = ["sha256sum", "--check", "--strict", "--quiet", paths.MANIFEST.name]
        subprocess.run(command_line, cwd=paths.PUBLISHED, check=True)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_agrees_with_its_rounding(number):
    assert rederived.agree(f"{number:.8g}", f"{number:.17g}")


@given(st.floats(1e-5, 1e6), st.sampled_from((-1e-6, 1e-6)))
def test_a_number_that_differs_in_the_sixth_digit_does_not_agree(number, shift):
    assert not rederived.agree(f"{number * (1 + shift):.17g}", f"{number:.17g}")


@given(st.integers(), st.integers())
def test_integers_agree_only_when_equal(one, other):
    assert rederived.agree(str(one), str(other)) == (one == other)


@given(st.text(), st.text())
def test_text_that_is_no_number_agrees_only_when_equal(one, other):
    assume(not any(character.isdigit() for character in one))
    assume(one.strip().lower().lstrip("+-") not in ("nan", "inf", "infinity"))
    assert rederived.agree(one, other) == (one == other)


def test_the_published_run_of_this_repository_is_as_it_was_computed(root, monkeypatch):
    monkeypatch.chdir(root)
    if not paths.MANIFEST.is_file():
        pytest.skip("no run is published with its manifest yet: `make publish` writes it")
    assert [d for check in verification.verify_core() for d in check.differences] == []
