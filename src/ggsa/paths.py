"""Where everything lies, relative to the root of the repository; the only module that knows.

Paths are relative because DVC runs every stage from the root of the workspace or of an
experiment's copy of it.
"""

from pathlib import Path

PARAMS = Path("params.yaml")

# Written by stages and kept by DVC.
PARAMS_CHECKED = Path("data/checked.json")  # check: says that params.yaml is sound
CORPUS = Path("data/corpus")  # download: <split>.parquet, provenance.json
TAGGER = Path("data/tagger")  # download: pos.pt, a Stanza tagger
ENCODER = Path("data/encoder")  # download: config.json, tokenizer, weights if pretrained
TAGS = Path("data/tags")  # tag: <split>.parquet
RULES = Path("data/rules")  # rules: <mode>.json and statistics/*.csv
RUNS = Path("runs")  # train: <study>/<mode>-<seed>/
METRICS = Path("reports/metrics.json")  # evaluate
TABLES = Path("reports/tables")  # evaluate: every number that the report shows
FIGURES = Path("reports/figures")  # report
REPORT = Path("reports/report.html")  # report

# Written by `make publish` and kept by Git.
PUBLISHED = Path("reports/published")

# Sources of the report.
NOTEBOOKS = Path("notebooks")

# What survives a killed stage, and what may be deleted at any time at the price of time.
CACHE = Path(".cache")
TAG_STORE = CACHE / "tags"  # one SQLite file per tagger
CHECKPOINTS = CACHE / "checkpoints"  # one folder per unfinished cell
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


def cell(study: str, mode: str, seed: int) -> Path:
    """Return the folder of one trained cell."""
    return RUNS / study / f"{mode}-{seed}"
