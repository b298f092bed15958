"""Where everything lies, relative to the root of the repository; the only module that knows.

Paths are relative because DVC runs every stage from the root of the workspace or of an
experiment's copy of it.
"""

import os
from pathlib import Path

PARAMS = Path("params.yaml")
CORPORA = Path("corpora")  # the user's own files; the download stage depends on all of it

# Written by stages and kept by DVC. A study on other assets keeps them in a folder of its own,
# which its dvc.yaml names by $GGSA_DATA, and models by $GGSA_RUNS.
DATA = Path(os.environ.get("GGSA_DATA", "data"))
PARAMS_CHECKED = DATA / "checked.json"  # check: says that params.yaml is sound
CORPUS = DATA / "corpus"  # download: <split>.parquet, provenance.json
TAGGER = DATA / "tagger"  # download: pos.pt, a Stanza tagger
ENCODER = DATA / "encoder"  # download: config.json, tokenizer, weights if pretrained
TAGS = DATA / "tags"  # tag: <split>.parquet
RULES = DATA / "rules"  # rules: <mode>.json and statistics/*.csv
RUNS = Path(os.environ.get("GGSA_RUNS", "runs"))  # train: <study>/<mode>-<seed>/
CORE = "core"  # the study that `make repro` runs
CORE_SECONDS = RUNS / "core-seconds.csv"  # what each of its cells took; no output of a stage
METRICS = Path("reports/metrics.json")  # evaluate
TABLES = Path("reports/tables")  # evaluate: every number that the report shows
PLOTS = Path("reports/plots")  # evaluate: what DVC draws
FIGURES = Path("reports/figures")  # report
REPORT = Path("reports/report.html")  # report

# Kept by Git. Written by `make publish`, and by studies cell by cell as they finish.
PUBLISHED = Path("reports/published")
STUDIES = Path("studies")  # <study>/params.yaml and dvc.yaml
MANIFEST = PUBLISHED / "SHA256SUMS"  # of every file there but those of RESULTS
RESULTS = PUBLISHED / "studies"  # <study>/<corpus>/{plan,cells,tables}
BENCHMARK = PUBLISHED / "benchmark"  # `make bench`: results.csv, machine.json, SHA256SUMS
STUDIES_MANIFEST = RESULTS / "SHA256SUMS"  # of every file there; the report depends on it

# Sources of the report.
NOTEBOOKS = Path("notebooks")

# What survives a killed stage, and what may be deleted at any time at the price of time.
# An experiment's copy of the repository vanishes when it is killed: $GGSA_CACHE names the workspace's.
CACHE = Path(os.environ.get("GGSA_CACHE", ".cache"))
TAG_STORE = CACHE / "tags"  # one SQLite file per tagger
CHECKPOINTS = CACHE / "checkpoints"  # one folder per unfinished cell
STAGE_SECONDS = Path(".cache/stages.csv")  # what each stage took, as it ran here
FAILED_NOTEBOOKS = CACHE / "notebooks"  # partial output of a notebook that failed

SPLITS = ("train", "selection", "validation", "test", "examples")


def corpus_split(split: str) -> Path:
    """Return the file that holds the sentences of a split."""
    return CORPUS / f"{split}.parquet"


def tags_split(split: str) -> Path:
    """Return the file that holds the tags of a split."""
    return TAGS / f"{split}.parquet"


def provenance() -> Path:
    """Return the file that says where each asset came from."""
    return CORPUS / "provenance.json"


def rule_table(mode: str) -> Path:
    """Return the file that holds the pattern of a mode."""
    return RULES / f"{mode}.json"


def interpretability(corpus: str) -> Path:
    """Return the folder of the tables that say where models of a corpus look."""
    return RESULTS / "interpretability" / corpus / "tables"


def cell(study: str, mode: str, seed: int) -> Path:
    """Return the folder of one trained cell."""
    return RUNS / study / f"{mode}-{seed}"
