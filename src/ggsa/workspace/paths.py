"""Every path, relative to the root of the repository.

Paths are relative because DVC runs each stage from the root of the workspace or of an experiment's
copy.
"""

import os
from pathlib import Path

PARAMS = Path("params.yaml")
CORPORA = Path("corpora")  # the user's own files; the download stage depends on all of it

# Written by stages, kept by DVC. A study on other assets sets $GGSA_DATA and $GGSA_RUNS in its
# dvc.yaml to keep its own data and models.
DATA = Path(os.environ.get("GGSA_DATA", "data"))
PARAMS_CHECKED = DATA / "checked.json"  # check: params.yaml is valid
CORPUS = DATA / "corpus"  # download: <split>.parquet, provenance.json
TAGGER = DATA / "tagger"  # download: pos.pt, a Stanza tagger
ENCODER = DATA / "encoder"  # download: config.json, tokenizer, weights if pretrained
TAGS = DATA / "tags"  # tag: <split>.parquet
RULES = DATA / "rules"  # rules: <mode>.json and statistics/*.csv
RUNS = Path(os.environ.get("GGSA_RUNS", "runs"))  # train: <study>/<mode>-<seed>/
CORE = "core"  # the study that `make repro` runs
CORE_SECONDS = RUNS / "core-seconds.csv"  # what each of its cells took; no output of a stage
METRICS = Path("reports/metrics.json")  # evaluate
TABLES = Path("reports/tables")  # evaluate: every number in the report
PLOTS = Path("reports/plots")  # evaluate: data of DVC's plots
FIGURES = Path("reports/figures")  # report
REPORT = Path("reports/report.html")  # report

# Kept by Git. Written by `make publish`, and cell by cell by `make study`.
PUBLISHED = Path("reports/published")
STUDIES = Path("studies")  # <study>/params.yaml and dvc.yaml
MANIFEST = PUBLISHED / "SHA256SUMS"  # of every file there except RESULTS
RESULTS = PUBLISHED / "studies"  # <study>/<corpus>/{plan,cells,tables}
BENCHMARK = PUBLISHED / "benchmark"  # `make bench`: results.csv, machine.json, SHA256SUMS
STUDIES_MANIFEST = RESULTS / "SHA256SUMS"  # of every file there

# Sources of the report.
NOTEBOOKS = Path("notebooks")

# The variable with the address of a cluster that tags, which `make study CLUSTER=...` sets for the
# stages: it changes no tag, so DVC need not know it.
CLUSTER = "GGSA_CLUSTER"

# Survives a killed stage; deleting it costs only time. A killed experiment loses its copy of the
# repository, so $GGSA_CACHE then names the workspace's cache.
CACHE = Path(os.environ.get("GGSA_CACHE", ".cache"))
TAG_STORE = CACHE / "tags"  # one SQLite file per tagger
PIECES = CACHE / "pieces"  # of splits that are in use; its files have no names
CHECKPOINTS = CACHE / "checkpoints"  # one folder per unfinished cell
ADAPTED = CACHE / "adapted"  # one folder per encoder that was adapted to a pattern here
STAGE_SECONDS = Path(".cache/stages.csv")  # seconds of each stage run here
FAILED_NOTEBOOKS = CACHE / "notebooks"  # partial output of a notebook that failed

SPLITS = ("train", "selection", "validation", "test", "examples")


def corpus_split(split: str) -> Path:
    """Return the file with the sentences of a split."""
    return CORPUS / f"{split}.parquet"


def tags_split(split: str) -> Path:
    """Return the file with the tags of a split."""
    return TAGS / f"{split}.parquet"


def unlabeled() -> Path:
    """Return the file with the tagged sentences on which encoders are adapted."""
    return CORPUS.parent / "unlabeled.parquet"


def provenance() -> Path:
    """Return the file that records where each asset came from."""
    return CORPUS / "provenance.json"


def rule_table(mode: str) -> Path:
    """Return the file with the pattern of a mode."""
    return RULES / f"{mode}.json"


def interpretability(corpus: str) -> Path:
    """Return the folder of a corpus's interpretability tables."""
    return RESULTS / "interpretability" / corpus / "tables"


def cell(study: str, mode: str, seed: int) -> Path:
    """Return the folder of a trained cell."""
    return RUNS / study / f"{mode}-{seed}"
