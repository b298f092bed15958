"""Plain `dvc repro` on a user's own CSV with three classes."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from workspace import commit, copy_to, run

from ggsa.assets import probe

pytestmark = pytest.mark.pipeline
CLASSES = ("bad", "good", "long")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, own_tagger: Path) -> Path:
    folder = tmp_path_factory.mktemp("clone")
    copy_to(folder)
    (folder / "corpora/mine").mkdir()
    shutil.copy(own_tagger, folder / "corpora/mine/pos.pt")
    sentences = probe.generate(1)["train"][:300]
    rows = [
        {"review": " ".join(row.words), "stars": CLASSES[2 if n % 3 == 2 else row.label]}
        for n, row in enumerate(sentences)
    ]
    pd.DataFrame(rows).to_csv(folder / "corpora/mine/reviews.csv", index=False)
    content = yaml.safe_load((folder / "params.yaml").read_text())
    content["grid"] = {"modes": ["full", "hard"], "seeds": [1]}
    content["assets"]["source"] = "embedded"
    content["corpus"] |= {"name": "files"}
    content["corpus"]["files"] |= {
        "train": "corpora/mine/reviews.csv", "text": "review", "label": "stars"
    }  # fmt: skip
    content["tagger"]["package"] = "corpora/mine/pos.pt"
    content["encoder"] |= {"layers": 1, "hidden": 16, "feed_forward": 32, "vocabulary": 300}
    content["train"]["evaluate_every"] = 100
    content["train"]["recipes"]["from_scratch"] |= {"epochs": 6, "batch_size": 4}
    content["evaluate"]["bootstrap_samples"] = 100
    content["report"]["figure_dpi"] = 50
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    commit(folder)
    run(folder, "dvc", "repro")
    return folder


def test_three_classes_are_trained_measured_and_reported_by_name(clone: Path) -> None:
    predictions = pd.read_parquet(clone / "runs/core/hard-1/predictions.parquet")
    assert {len(logits) for logits in predictions["logits"]} == {3}
    saved = json.loads((clone / "runs/core/hard-1/config.json").read_text())
    assert list(saved["id2label"].values()) == [*CLASSES]
    metrics = json.loads((clone / "reports/metrics.json").read_text())
    assert metrics["corpus"] == "files: reviews.csv"
    assert metrics["hard"]["verdict"] in ("", "did not learn")
    confusion = pd.read_csv(clone / "reports/tables/confusion.csv")
    assert set(confusion["predicted"]) == {0, 1, 2}
    sums = confusion.groupby(["mode", "split"])["share"].sum()
    assert sums.to_numpy() == pytest.approx(1)


def test_the_report_names_the_file_and_shows_none_of_its_text(clone: Path) -> None:
    page = (clone / "reports/report.html").read_text()
    summary = run(clone, "env", "PYTHONPATH=src", "python3", "-m", "ggsa.report.summary")
    for text in (page, " ".join(summary.split())):
        assert "the user’s own file reviews.csv" in text
        assert "SST-2" not in text and "The paper’s claims" not in text
    rows = pd.read_csv(clone / "corpora/mine/reviews.csv")["review"]
    assert not [text for text in rows if len(text) > 30 and text in page]


def test_the_files_are_read_again_only_if_they_change(clone: Path) -> None:
    assert "Running stage" not in run(clone, "dvc", "repro", "download")
    path = clone / "corpora/mine/reviews.csv"
    path.write_text(path.read_text() + "a film that nobody has seen,good\n")
    assert "corpora" in run(clone, "dvc", "status", "download")
    assert "Running stage 'download'" in run(clone, "dvc", "repro", "download")
    rows = json.loads((clone / "data/corpus/provenance.json").read_text())["corpus"]["rows"]
    assert sum(rows[split] for split in ("train", "validation", "test")) == 301
