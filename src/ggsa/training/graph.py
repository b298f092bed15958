"""The DVC stages of a study, from its declaration: every studies/<name>/dvc.yaml is written here."""

from pathlib import Path
from typing import Any

import yaml

from ggsa.training import studies
from ggsa.training.studies import Study
from ggsa.workspace import artifacts, paths

HEADER = """\
# Written by `make study` from the declaration in params.yaml beside this file; do not edit.
# A cell depends on its plan alone, so that a refactoring does not retrain it.
"""
PLANNED_PARAMS = (
    "attention",
    "encoder.keep_projections",
    "protocol",
    "protocols",
    "rules",
    "train",
)


def graph_file(name: str) -> Path:
    """Return the file that holds the stages of a study."""
    return paths.STUDIES / name / "dvc.yaml"


def write_graph(study: Study) -> bool:
    """Write the stages of a study unless its file already holds them; return whether it changed."""
    path, text = graph_file(study.name), graph(study)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    artifacts.write_text(path, text)
    return True


def graph(study: Study) -> str:
    """Return the content of a study's dvc.yaml."""
    stages: dict[str, Any] = {}
    for corpus in study.corpora:
        stages |= _stages(study, corpus)
    text = yaml.safe_dump({"stages": stages}, sort_keys=False, width=100)
    return HEADER + text


def train_stage(study: Study, corpus: str, arm: str) -> str:
    """Return the name of the stage that makes the cells of an arm."""
    if study.source_of(arm):
        return f"derive_{corpus}"
    return f"source_{corpus}" if arm in study.sources(corpus) else f"train_{corpus}"


def _stages(study: Study, corpus: str) -> dict[str, Any]:
    """Return the stages of a study on one corpus."""
    plan, results = study.plan(corpus), studies.results(study.name, corpus)
    chosen = f"--study {study.name} --corpus {corpus}"
    adapted = study.adapted(corpus)
    unlabeled = [str(plan.data / "unlabeled.parquet")] if adapted else []
    stages: dict[str, Any] = _unlabeled(study, corpus) if adapted else {}
    stages |= {
        f"plan_{corpus}": {
            "desc": f"Fix the settings, the data and the pattern of every cell on {corpus}.",
            "wdir": "../..",
            "cmd": f"GGSA_DATA={plan.data} PYTHONPATH=src python3 -m stages.plan {chosen}",
            "params": list(PLANNED_PARAMS),
            "deps": [
                *(str(plan.data / name) for name in ("corpus", "encoder", "tags")),
                *unlabeled,
                "src/ggsa/patterns",
                "src/ggsa/training/identity.py",
                "src/ggsa/training/study_cells.py",
                "stages/plan.py",
                str(studies.declaration(study.name)),
            ],
            "outs": [_kept_by_git(results / "plan")],
        }
    }
    groups: dict[str, list[str]] = {}
    for arm in plan.arms:
        groups.setdefault(train_stage(study, corpus, arm), []).append(arm)
    for name, arms in groups.items():
        stages[name] = _cells(study, corpus, name, arms)
    stages[f"compare_{corpus}"] = {
        "desc": f"Compare the finished cells on {corpus} and answer the declared questions.",
        "wdir": "../..",
        "cmd": f"GGSA_DATA={plan.data} PYTHONPATH=src python3 -m stages.compare {chosen}",
        "params": ["corpus.seed", "evaluate", "train.max_pieces"],
        "deps": [
            *(str(plan.data / name) for name in ("corpus", "encoder", "tags")),
            str(results / "cells"),
            str(results / "plan"),
            "src/ggsa/evaluation",
            "src/ggsa/patterns",
            "src/ggsa/tagging",
            "stages/compare.py",
            str(studies.declaration(study.name)),
        ],
        "outs": [_kept_by_git(results / "sentences.parquet"), _kept_by_git(results / "tables")],
    }
    return stages


def _unlabeled(study: Study, corpus: str) -> dict[str, Any]:
    """Return the stage that draws what the encoders of adapted arms learn from."""
    plan, name = study.plan(corpus), study.name
    command = f"GGSA_DATA={plan.data} PYTHONPATH=src python3 -m stages"
    unlabeled = str(plan.data / "unlabeled.parquet")
    declared = {str(studies.declaration(name)): ["adaptation"]}
    return {
        f"unlabeled_{corpus}": {
            "desc": "Draw and tag the sentences on which encoders are adapted.",
            "wdir": "../..",
            "cmd": f"{command}.unlabeled --study {name}",
            "params": ["assets", "corpus", "tagger", declared],
            "deps": [
                *(str(plan.data / part) for part in ("corpus", "tags", "tagger")),
                "src/ggsa/tagging/unlabeled.py",
                "stages/unlabeled.py",
            ],
            "outs": [unlabeled],
        },
    }


def _cells(study: Study, corpus: str, stage: str, arms: list[str]) -> dict[str, Any]:
    """Return the stage that makes the cells of some arms."""
    plan, name = study.plan(corpus), study.name
    results = studies.results(name, corpus)
    deps = [str(results / "plan" / "${item.arm}-${item.seed}.json")]
    outs: list[Any] = [_kept_by_git(results / "cells" / "${item.arm}-${item.seed}")]
    descriptions = {
        "train": "Train one cell and keep its predictions; an equal finished cell is taken up.",
        "source": "Train one cell whose weights other arms need, and keep both.",
        "derive": "Make one cell that needs the weights of another arm.",
    }
    kind = stage.partition("_")[0]
    if kind == "source":
        outs.append(str(paths.RUNS / f"{name}-{corpus}" / "${item.arm}-${item.seed}"))
    if kind == "derive":
        sources = sorted({str(study.source_of(arm)) for arm in arms})
        deps += [
            str(paths.RUNS / f"{name}-{corpus}" / f"{source}-${{item.seed}}") for source in sources
        ]
    return {
        "desc": descriptions[kind],
        "wdir": "../..",
        "matrix": {"arm": list(arms), "seed": list(plan.seeds)},
        "cmd": (
            f"GGSA_DATA={plan.data} PYTHONPATH=src python3 -m stages.cell --study {name} "
            f"--corpus {corpus} --arm ${{item.arm}} --seed ${{item.seed}}"
        ),
        "deps": deps,
        "outs": outs,
    }


def _kept_by_git(path: Path) -> dict[str, Any]:
    """Return an output that stays until its stage replaces it, as a whole, by a finished one."""
    return {str(path): {"cache": False, "persist": True}}
