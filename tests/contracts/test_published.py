"""What is committed under reports/published, and the README that speaks of it."""

import html
import json
import os
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest

from ggsa.report import answer, readme, tables
from ggsa.workspace import checksums, config, paths
from ggsa.workspace.tables import PREDICTION_COLUMNS

LONG_ENOUGH = 8  # words; shorter phrases are anybody's

pytestmark = pytest.mark.skipif(
    not (paths.PUBLISHED / "tables" / "differences.csv").is_file(),
    reason="no run is published yet: `make publish` writes reports/published",
)


def test_the_tables_of_the_readme_are_the_published_ones():
    text = readme.README.read_text(encoding="utf-8")
    for name, block in readme.blocks(paths.PUBLISHED).items():
        assert readme.block_of(text, name) == block


def test_a_checkout_with_windows_line_endings_has_the_published_bytes(tmp_path):
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@t")
    source = tmp_path / "source"
    shutil.copytree(paths.PUBLISHED, source / paths.PUBLISHED, ignore=only_one_study)
    shutil.copy(".gitattributes", source)
    for command in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "-m", "all")):
        subprocess.run([*git, *command], cwd=source, check=True)
    clone = [*git, "-c", "core.autocrlf=true", "clone", "--quiet", str(source)]
    subprocess.run([*clone, str(tmp_path / "clone")], check=True)
    files = [p.relative_to(source) for p in source.rglob("reports/**/*") if p.is_file()]
    assert {".csv", ".json", ".parquet", ".png"} <= {path.suffix for path in files}
    changed = [
        p for p in files if (tmp_path / "clone" / p).read_bytes() != (source / p).read_bytes()
    ]
    assert not changed


def only_one_study(folder: str, names: list[str]) -> list[str]:
    """For shutil.copytree: leave out all studies but one."""
    return [name for name in names if Path(folder) == paths.RESULTS and name != "mend"]


def test_the_published_metrics_are_those_of_the_published_table():
    metrics = json.loads((paths.PUBLISHED / "metrics.json").read_text(encoding="utf-8"))
    results = tables.read(paths.PUBLISHED / "tables", "results")
    for row in results[results["split"] == "validation"].itertuples():
        assert metrics[row.mode]["accuracy"] == pytest.approx(row.accuracy_mean, abs=1e-6)
        assert metrics[row.mode]["verdict"] == row.verdict


def test_every_published_run_has_predictions_without_text_that_give_its_accuracy():
    runs = tables.read(paths.PUBLISHED / "tables", "runs")
    folder = paths.PUBLISHED / "runs"
    assert {path.name for path in folder.iterdir()} == set(
        runs["mode"] + "-" + runs["seed"].astype(str)
    )
    for row in runs[runs["split"] == "validation"].itertuples():
        predictions = pd.read_parquet(folder / f"{row.mode}-{row.seed}" / "predictions.parquet")
        assert tuple(predictions) == PREDICTION_COLUMNS
        part = predictions[predictions["split"] == "validation"]
        guesses = [int(logits[1] > logits[0]) for logits in part["logits"]]
        assert (part["label"].to_numpy() == guesses).sum() == row.correct


def test_published_parameters_are_valid_and_are_of_the_published_grid():
    params = config.load(paths.PUBLISHED / "params.yaml")
    runs = tables.read(paths.PUBLISHED / "tables", "runs")
    assert set(runs["mode"]) == set(params.grid.modes)
    assert set(runs["seed"]) == set(params.grid.seeds)
    patterns = (paths.PUBLISHED / "rules").glob("*.json")
    assert {path.stem for path in patterns} == set(params.grid.modes)


def test_published_pages_hold_no_sentence_of_sst2():
    sentences = sst2_sentences()
    texts = {
        path: words_of(path)
        for path in sorted(paths.PUBLISHED.rglob("*"))
        if path.suffix in (".html", ".md", ".csv", ".json", ".yaml")
    }
    texts[readme.README] = words_of(readme.README)
    begin = defaultdict(list)
    for sentence in sentences:
        begin[tuple(sentence[:LONG_ENOUGH])].append(" ".join(sentence))
    for path, words in texts.items():
        known = set(zip(*(words[start:] for start in range(LONG_ENOUGH)), strict=False))
        whole = f" {' '.join(words)} "
        found = [sentence for first in known & begin.keys() for sentence in begin[first]]
        assert not [sentence for sentence in found if f" {sentence} " in whole], path


def words_of(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        text = html.unescape(re.sub(r"<[^>]*>", " ", text)).replace(" ##", "")
    return re.sub(r'[|,"“”]', lambda mark: f" {mark[0]} ", text).lower().split()


def sst2_sentences() -> list[list[str]]:
    mirror = Path(os.environ.get("GGSA_MIRROR") or config.load().assets.mirror) / "sst2"
    if not (mirror / "dev.tsv").is_file():
        pytest.skip("SST-2 is not at hand to compare with: no mirror was found")
    files = [(mirror / "train.tsv", 0), (mirror / "dev.tsv", 0), (mirror / "test.tsv", 1)]
    rows = [
        line.split("\t")[column].lower().split()
        for path, column in files
        for line in path.read_text(encoding="utf-8").splitlines()[1:]
    ]
    return [words for words in rows if len(words) >= LONG_ENOUGH]


def test_the_manifest_of_the_studies_is_up_to_date():
    lines = paths.STUDIES_MANIFEST.read_text(encoding="utf-8").splitlines()
    recorded = dict(reversed(line.split("  ", 1)) for line in lines)
    folder = paths.STUDIES_MANIFEST.parent
    files = checksums.listed_files(paths.STUDIES_MANIFEST)
    assert recorded == {p.relative_to(folder).as_posix(): checksums.sha256(p) for p in files}


def test_the_measurements_that_the_docs_quote_are_the_published_ones():
    method, gpu = (
        " ".join(Path("docs", name).read_text(encoding="utf-8").split())
        for name in ("method.md", "gpu.md")
    )
    memory = tables.read(paths.BENCHMARK, "memory")
    assert (memory["peak_mib"] <= memory["bound_mib"]).all()
    for row in memory[memory["sentences"] == 10_000_000].itertuples():
        size, minutes = f"{row.peak_mib / 1024:.1f} GiB", f"{row.seconds / 60:.0f} minutes"
        purpose = {"tags": "for tagging", "training": "for reading"}[row.what]
        assert f"of {size} and {minutes} {purpose}" in method
    ratios = answer._on_gpu().set_index("length")["ratio"]
    assert f"took {ratios[128]:.2f} times as long as cuDNN" in gpu
    for length in (2048, 8192, 32768):
        assert f"{ratios[length]:.2f} times at {length:,}" in gpu
