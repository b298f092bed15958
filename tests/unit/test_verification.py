"""What `make verify` reports on a small published run, written by the functions that publish."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml
from finished_run import PATTERN, sentence_marks, write_cell
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ggsa import cli
from ggsa.cli import verification
from ggsa.cli.verification import recorded, rederived
from ggsa.evaluation import comparisons, core, finished_cells
from ggsa.report import publish, readme
from ggsa.training import studies
from ggsa.workspace import artifacts, checksums, config, paths
from ggsa.workspace.tables import write_table

ROOT = Path(__file__).parents[2]
MODES, SEEDS, ROWS = ("full", "hard", "soft", "diagonal"), (1, 2, 3), {"validation": 30, "test": 40}
STUDY, CORPUS = "tiny", "probe"
GATE = {"kind": "gate", "arm": "full", "reference": "diagonal", "text": "Is there headroom?"}
KEPT = {"kind": "equivalence", "arm": "hard", "reference": "full", "text": "Does hard keep it?"}
DECLARATION = {
    "title": "A tiny study",
    "question": "Does anything happen?",
    "reference": "full",
    "arms": {"hard": None, "full": None, "diagonal": None},
    "corpora": {CORPUS: {"base": CORPUS, "seeds": [1, 2, 3]}},
    "families": [{"name": "all", "questions": [GATE, KEPT]}],
}
FOLDER = paths.RESULTS / STUDY / CORPUS
RUNS, TABLES = paths.PUBLISHED / "runs", paths.PUBLISHED / "tables"
DERIVED = (
    *("runs", "arms", "differences", "verdicts", "subsets", "baselines"),
    *("mcnemar", "confusion", "results", "claims"),
)
in_a_fresh_copy = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def write_core():
    """Publish a run of core with invented predictions and counts."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["grid"] = {"modes": list(MODES), "seeds": list(SEEDS)}
    content["evaluate"]["bootstrap_samples"] = 100
    for path in (paths.PARAMS, paths.PUBLISHED / "params.yaml"):
        artifacts.write_text(path, yaml.safe_dump(content))
    params = config.load()
    encoder = {"checkpoint": None, "pretrained": False, "is_paper_checkpoint": False}
    provenance = {
        "is_sst2": True, "corpus": {"name": "sst2", "source": "mirror"},
        "encoder": {**encoder, "source": "from_scratch"}, "substitutes": [],
    }  # fmt: skip
    artifacts.write_json(paths.PUBLISHED / "provenance.json", provenance)
    for mode in MODES:
        for seed in SEEDS:
            write_cell(RUNS / f"{mode}-{seed}", mode, seed, rows=ROWS)
    counted = {"attention_flops": 300, "full_attention_flops": 900, "model_flops": 8400}
    costs = [
        {"mode": mode, "split": split, "pairs": 900, "allowed_pairs": 300, **counted,
         "full_model_flops": 9000, "sentences": 4, "pieces_mean": 14.75}
        for split in (*ROWS, "pooled") for mode in MODES
    ]  # fmt: skip
    costs = rederived.with_exact_shares(pd.DataFrame(costs))
    study, setting = studies.core(params, "sst2"), core.setting_of(provenance)
    results = finished_cells.read_results(study, "sst2", lambda arm, seed: RUNS / f"{arm}-{seed}")
    made = comparisons.study_tables(results, study, params.evaluate, sentence_marks(ROWS))
    made |= {**core.own_tables(results), "cost": costs}
    made |= core.concluding_tables(results, made, setting)
    notes = core.table_notes(params.grid, params.rules, setting, results.splits)
    for name, table in made.items():
        write_table(TABLES / f"{name}.csv", table)
        if name in core.IN_MARKDOWN:
            text = core.markdown(table, notes.get(name, []))
            artifacts.write_text(TABLES / f"{name}.md", text)
    write_table(TABLES / "sentences.parquet", sentence_marks(ROWS))
    artifacts.write_json(
        paths.PUBLISHED / "metrics.json", core.metrics(made["results"], provenance)
    )
    artifacts.write_text(paths.PUBLISHED / "report.html", "<p>a report</p>\n")
    artifacts.write_text(paths.PUBLISHED / "figures" / "accuracy.png", "a figure")
    marks = "\n".join(mark for name in readme.BLOCKS for mark in readme.marks(name))
    artifacts.write_text(
        readme.README, readme.with_blocks(f"# Title\n\n{marks}\n", paths.PUBLISHED)
    )


def write_study():
    """Publish a study with invented predictions: its cells, their plans and its tables."""
    artifacts.write_text(studies.declaration(STUDY), yaml.safe_dump(DECLARATION))
    study = studies.load(STUDY)
    plan = study.corpora[CORPUS]
    planned = {"settings": {"max_pieces": 128}, "data_sha256": "cd" * 32, "pattern": PATTERN}
    for arm in plan.arms:
        for seed in plan.seeds:
            mode = study.arms[arm].mode
            write_cell(FOLDER / "cells" / f"{arm}-{seed}", arm, seed, mode, ROWS)
            content = {"arm": arm, "mode": mode, "seed": seed, **planned}
            artifacts.write_json(FOLDER / "plan" / f"{arm}-{seed}.json", content)
    results = finished_cells.read_results(study, CORPUS)
    made = comparisons.study_tables(results, study, config.load().evaluate, sentence_marks(ROWS))
    for name, table in made.items():
        write_table(FOLDER / "tables" / f"{name}.csv", table)
    densities = made["arms"].query("split == 'pooled'")[["arm", "density"]]
    write_table(FOLDER / "tables/patterns.csv", densities.assign(shared_with_hard=0.5))
    write_table(FOLDER / "sentences.parquet", sentence_marks(ROWS))
    write_table(FOLDER / "seconds.csv", pd.DataFrame({"cell": ["full-1"], "seconds": [60.0]}))


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A repository with a published run and a study, as Git would check it out."""
    root = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        write_core()
        write_study()
        publish.write_manifests()
    return root


@pytest.fixture
def fresh(published, tmp_path, monkeypatch):
    """A function that makes a fresh copy of the repository and goes there."""

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


def flip(path, row):
    table = pd.read_parquet(path)
    table["logits"] = [
        logits[::-1] if number == row else logits for number, logits in enumerate(table["logits"])
    ]
    write_table(path, table)


def change(path, row, column, value):
    table = rederived.read_text(path)
    table.loc[row, column] = value
    table.to_csv(path, index=False, lineterminator="\n")


def test_an_untouched_copy_passes_and_says_how_much_was_checked(fresh, capsys):
    cli.main(["verify"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "cells of core",
        "tables of core re-derived from its cells",
        "their Markdown and the metrics",
        "tables of the README",
        "cells of tiny on probe",
        "tables of tiny on probe re-derived from its cells",
        "densities of the patterns of tiny on probe",
        "files of the published run by SHA-256",
        "files of the studies by SHA-256",
        "Everything published is as it was computed.",
    ]
    for line in lines[:-1]:
        equal, total = line.rpartition(": ")[2].split(" equal")[0].split(" of ")
        assert equal == total and int(total) > 0, line


@pytest.mark.parametrize("wrong", [False, True])
def test_the_parameters_of_the_next_run_decide_nothing(fresh, wrong):
    content = yaml.safe_load(paths.PARAMS.read_text(encoding="utf-8"))
    content["corpus"]["name"] = "files"
    content["corpus"]["files"]["train"] = None if wrong else "corpora/mine.csv"
    content["evaluate"] |= {"equivalence_margin_points": 0.1, "seed": 1}
    artifacts.write_text(paths.PARAMS, yaml.safe_dump(content))
    assert differences() == []


def test_a_difference_ends_in_exit_code_1(fresh, capsys):
    (paths.PUBLISHED / "report.html").write_text("<p>another</p>\n")
    with pytest.raises(SystemExit) as stopped:
        cli.main(["verify"])
    assert str(stopped.value.code).startswith("\n1 difference found.")
    assert "report.html: differs from" in capsys.readouterr().out


@in_a_fresh_copy
@given(
    mode=st.sampled_from(MODES),
    seed=st.sampled_from(SEEDS),
    row=st.integers(0, sum(ROWS.values()) - 1),
)
def test_one_altered_prediction_is_found_even_if_its_hash_is_updated(fresh, mode, seed, row):
    fresh()
    path = RUNS / f"{mode}-{seed}" / "predictions.parquet"
    flip(path, row)
    assert str(path) in {d.file for c in recorded.check_manifests() for d in c.differences}
    publish.write_manifests()
    split = "validation" if row < ROWS["validation"] else "test"
    checks = rederived.check_core()
    texts = [d.text for c in checks for d in c.differences if d.file == str(TABLES / "runs.csv")]
    assert any(f"{mode} {mode} {seed} {split}), column correct" in text for text in texts)


def test_an_altered_prediction_of_a_study_is_found_in_its_tables(fresh):
    study = studies.load(STUDY)
    plan = study.corpora[CORPUS]
    path = FOLDER / "cells" / f"{plan.arms[0]}-{plan.seeds[0]}" / "predictions.parquet"
    flip(path, 3)
    publish.write_manifests()
    assert str(FOLDER / "tables" / "runs.csv") in named()


def test_an_altered_density_of_a_pattern_is_found_even_if_its_hash_is_updated(fresh):
    path = FOLDER / "tables/patterns.csv"
    table = pd.read_csv(path)
    table.loc[1, "density"] += 0.01
    write_table(path, table)
    publish.write_manifests()
    assert named() == {str(path)}
    path.unlink()
    publish.write_manifests()
    assert named() == {str(path)}


def test_an_altered_logit_that_changes_no_class_is_found_by_its_hash(fresh):
    path = RUNS / "soft-1" / "predictions.parquet"
    table = pd.read_parquet(path)
    table["logits"] = [2 * logits for logits in table["logits"]]
    write_table(path, table)
    assert named() == {str(path)}


@in_a_fresh_copy
@given(
    folder=st.sampled_from((TABLES, FOLDER / "tables")), name=st.sampled_from(DERIVED),
    data=st.data(),
)  # fmt: skip
def test_an_altered_cell_of_a_table_is_found_with_its_row_and_column(fresh, folder, name, data):
    fresh()
    path = folder / f"{name}.csv"
    assume(path.is_file())
    table = rederived.read_text(path)
    row = data.draw(st.integers(0, len(table) - 1))
    column = data.draw(st.sampled_from(list(table)))
    old = table.loc[row, column]
    change(path, row, column, f"9{old}")
    publish.write_manifests()
    texts = [d.text for d in differences() if d.file == str(path)]
    assert len(texts) == 1
    assert texts[0].startswith(f"row {row + 1}")
    assert f"column {column}: published 9{old}, recomputed " in texts[0]


def test_an_altered_share_of_the_cost_table_is_computed_again(fresh):
    path = TABLES / "cost.csv"
    change(path, 1, "saving_model", "0.5")
    publish.write_manifests()
    texts = [d.text for d in differences() if d.file == str(path)]
    assert [text.split(":")[0] for text in texts] == [
        "row 2 (hard validation), column saving_model"
    ]


@pytest.mark.parametrize("what", ["alter", "remove"])
def test_every_published_file_is_named_when_it_is_altered_or_removed(fresh, what):
    def by_hash():
        return {d.file for check in recorded.check_manifests() for d in check.differences}

    manifests = {paths.MANIFEST, paths.STUDIES_MANIFEST}
    files = {path for path in paths.PUBLISHED.rglob("*") if path.is_file()} - manifests
    for path in sorted(files)[:: 1 if what == "alter" else 5]:
        content = path.read_bytes()
        path.unlink()
        if what == "alter":
            path.write_bytes(content + b"\n")
        assert str(path) in by_hash(), path
        path.write_bytes(content)
    assert not by_hash()


def test_a_checkout_by_an_older_git_configuration_is_told_how_to_get_its_line_endings(fresh):
    path = TABLES / "results.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    (difference,) = differences()
    assert difference.file == str(path)
    assert difference.text == "has Windows line endings (CRLF): delete it, then `git restore` it"


def test_missing_cells_and_tables_are_named(fresh):
    table, cell = TABLES / "mcnemar.csv", RUNS / "hard-2"
    table.unlink()
    assert str(table) in {d.file for check in rederived.check_core() for d in check.differences}
    shutil.rmtree(cell)
    assert str(cell) in {d.file for check in rederived.check_core() for d in check.differences}


def test_a_declared_cell_of_a_study_that_is_missing_is_named(fresh):
    study = studies.load(STUDY)
    plan = study.corpora[CORPUS]
    cell = FOLDER / "cells" / f"{plan.arms[-1]}-{plan.seeds[-1]}"
    shutil.rmtree(cell)
    publish.write_manifests()
    assert str(cell) in named()


@pytest.mark.parametrize(
    "file",
    [
        paths.PUBLISHED / "more.txt",
        RUNS / "hard-99/predictions.parquet",
        TABLES / "more.csv",
        FOLDER / "plan/random-99.json",
        FOLDER / "cells/random-99/predictions.parquet",
        FOLDER / "tables/more.csv",
        paths.RESULTS / "unknown/sst2/cells/full-1/predictions.parquet",
    ],
)
def test_a_file_that_nothing_records_is_found(fresh, file):
    artifacts.write_text(file, "more\n")
    assert str(file) in named()


@pytest.mark.parametrize("key", ["settings", "pattern"])
def test_a_plan_that_was_changed_after_its_cell_was_trained_is_found(fresh, key):
    study = studies.load(STUDY)
    plan = study.corpora[CORPUS]
    cell = f"{plan.arms[0]}-{plan.seeds[0]}"
    planned = FOLDER / "plan" / f"{cell}.json"
    artifacts.write_json(planned, {**artifacts.read_json(planned), key: "another"})
    publish.write_manifests()
    (difference,) = differences()
    assert difference.file == str(FOLDER / "cells" / cell)
    assert key in difference.text and str(planned) in difference.text


def test_of_an_unfinished_study_the_cells_that_exist_are_checked(fresh):
    shutil.rmtree(FOLDER / "tables")
    cells = sorted((FOLDER / "cells").iterdir())
    shutil.rmtree(cells[0])
    publish.write_manifests()
    assert differences() == []
    path = cells[1] / "cell.json"
    artifacts.write_json(path, {**artifacts.read_json(path), "data_sha256": "another"})
    publish.write_manifests()
    (difference,) = differences()
    assert difference.file == str(cells[1]) and "data_sha256" in difference.text


def test_cells_of_different_machines_are_found(fresh):
    path = RUNS / "hard-1" / "cell.json"
    artifacts.write_json(path, {**artifacts.read_json(path), "machine": {"vendor": "Other"}})
    publish.write_manifests()
    assert any("machine" in difference.text for difference in differences())


@pytest.mark.parametrize("name", readme.BLOCKS)
def test_a_changed_table_in_the_readme_is_found(fresh, name):
    text = readme.README.read_text(encoding="utf-8")
    block = readme.block_of(text, name)
    readme.README.write_text(text.replace(block, f"{block} Changed."), encoding="utf-8")
    assert named() == {str(readme.README)}


def test_a_missing_manifest_is_named(fresh):
    paths.MANIFEST.unlink()
    assert [d.file for d in differences()] == [str(paths.MANIFEST)]


def test_a_benchmark_is_compared_with_the_hashes_taken_when_it_was_measured(fresh):
    manifest = paths.BENCHMARK / paths.MANIFEST.name
    results = paths.BENCHMARK / "results.csv"
    artifacts.write_text(results, "length,ratio\n512,0.5\n")
    checksums.write_manifest(manifest, checksums.listed_files(manifest))
    assert not differences()
    results.write_text("length,ratio\n512,0.4\n")
    assert [d.file for d in differences()] == [str(results)]


def test_an_archived_study_is_compared_with_its_own_manifest_only(fresh):
    table = paths.RESULTS / "long/imdb/tables/arms.csv"
    artifacts.write_text(table, "arm,accuracy\nfull,0.88\n")
    manifest = paths.RESULTS / "long" / paths.MANIFEST.name
    checksums.write_manifest(manifest, checksums.listed_files(manifest))
    publish.write_manifests()
    assert not differences()
    artifacts.write_text(table, "arm,accuracy\nfull,0.89\n")
    publish.write_manifests()  # as the next study would
    assert [d.file for d in differences()] == [str(table)]


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


def test_everything_published_in_this_repository_is_as_it_was_computed(root, monkeypatch):
    monkeypatch.chdir(root)
    if not (TABLES / "differences.csv").is_file():
        pytest.skip("no run is published yet: `make publish` writes reports/published")
    checks = [*rederived.check_core(), rederived.check_readme(), *recorded.check_manifests()]
    assert [difference for check in checks for difference in check.differences] == []
