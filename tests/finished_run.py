"""A finished run with invented numbers: every table that the report reads, and its cells."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from ggsa.training import studies
from ggsa.training.identity import digest
from ggsa.workspace import artifacts, paths
from ggsa.workspace.tables import write_table

MODES, SEEDS, SPLITS = ("full", "hard", "soft"), (13, 42, 71), ("validation", "test", "pooled")
ROWS = {"validation": 872, "test": 1821, "pooled": 2693}
TAGS = ("ADJ", "ADP", "ADV", "CCONJ", "DET", "NOUN", "PART", "PRON", "PUNCT", "VERB")
PIECES = (("[CLS]", "[CLS]"), ("the", "DET"), ("act", "NOUN"), ("##ing", "NOUN"), ("is", "VERB"),
          ("not", "PART"), ("bad", "ADJ"), (".", "PUNCT"), ("[SEP]", "[SEP]"))  # fmt: skip
PATTERN = {"mode": "any", "tags": [], "bias": []}
MACHINE = {"vendor": "Example", "model": "1", "threads": 1, "device": "cpu"}
PAPER = {"full": 715 / 872, "hard": 715 / 872, "soft": 712 / 872}


def allowed(query: str, key: str) -> bool:
    """Return whether an invented rule table allows a pair of tags."""
    pairs = {("ADJ", "NOUN"), ("NOUN", "ADJ"), ("DET", "NOUN"), ("VERB", "NOUN"), ("VERB", "ADV")}
    return query in (key, "[CLS]") or (query, key) in pairs


def write_run(root: Path, is_sst2: bool = True, modes: tuple = MODES, seeds: tuple = SEEDS) -> None:
    """Write every file that a finished run leaves, with made-up numbers."""
    random = np.random.default_rng(7)
    density = {"full": 1.0, "hard": 0.34}

    def write(name: str, rows: list[dict] | pd.DataFrame, folder: Path = paths.TABLES) -> None:
        write_table(root / folder / f"{name}.csv", pd.DataFrame(rows))

    runs = [
        {"arm": m, "mode": m, "seed": s, "split": split, "n": ROWS[split],
         "correct": round(a * ROWS[split]), "accuracy": a, "wilson_low": a - 0.026,
         "wilson_high": a + 0.025, "f1": a + 0.004}
        for m, s, split in itertools.product(modes, seeds, SPLITS)
        for a in [0.811 + random.normal(0, 0.004)]
    ]  # fmt: skip
    write("runs", runs)
    write("cells", [{"mode": m, "seed": s, "recipe": "from_scratch"} for m in modes for s in seeds])
    frame, results = pd.DataFrame(runs), []
    for split, mode in itertools.product(SPLITS, modes):
        part = frame[(frame["split"] == split) & (frame["mode"] == mode)]["accuracy"]
        deviation = part.std() if len(part) > 1 else np.nan
        on_paper = split == "validation" and mode in PAPER
        paper = PAPER[mode] if on_paper else np.nan
        results.append(
            {"arm": mode, "mode": mode, "split": split, "seeds": len(part), "n": ROWS[split],
             "accuracy_mean": part.mean(), "accuracy_sd": deviation, "accuracy_min": part.min(),
             "accuracy_max": part.max(), "prediction_low": part.mean() - 4.97 * deviation,
             "prediction_high": part.mean() + 4.97 * deviation, "f1_mean": part.mean() + 0.004,
             "f1_sd": deviation, "density": density.get(mode, 1.0), "paper": paper,
             "paper_low": paper - 0.027, "paper_high": paper + 0.024,
             "difference_points": 100 * (part.mean() - paper),
             "verdict": "compatible" if is_sst2 and on_paper else ""}
        )  # fmt: skip
    only_paper = ("paper", "paper_low", "paper_high", "difference_points")
    only_results = (*only_paper, "verdict")
    left_out = () if is_sst2 else only_paper
    write("results", [{k: v for k, v in row.items() if k not in left_out} for row in results])
    write("arms", [
        {"arm": row["mode"], **{k: v for k, v in row.items() if k not in only_results}}
        for row in results
    ])  # fmt: skip
    others = [mode for mode in modes if mode != "full"]
    write("differences", difference_rows({m: m for m in others}, seeds, random))
    write("verdicts", verdict_rows({m: m for m in others}, seeds))
    write("baselines", [
        {"baseline": name, "split": split, "n": ROWS[split], "accuracy": a,
         "wilson_low": a - 0.02, "wilson_high": a + 0.02}
        for (name, a), split in itertools.product(
            (("majority", 0.51), ("bag of words", 0.815)), SPLITS)
    ])  # fmt: skip
    write("mcnemar", [
        {"mode": m, "seed": s, "split": split, "only_full_right": 31, "only_mode_right": 28,
         "p": 0.79}
        for m, s, split in itertools.product(others, seeds, SPLITS)
    ])  # fmt: skip
    costs = {"attention_flops": 4.4e8, "full_attention_flops": 1.3e9, "model_flops": 1.7e10}
    write("cost", [
        {"mode": m, "split": split, "sentences": ROWS[split], "pieces_mean": 25.4, "pairs": 9e5,
         "allowed_pairs": 9e5 * density.get(m, 1.0), "density": density.get(m, 1.0), **costs,
         "full_model_flops": 1.8e10, "attention_share": 0.031,
         "saving_attention": 1 - density.get(m, 1.0),
         "saving_model": 0.031 * (1 - density.get(m, 1.0)), "key_value_bytes": 1.8e9}
        for split, m in itertools.product(SPLITS, modes)
    ])  # fmt: skip
    write("cost_by_length", [
        {"mode": m, "length": n, "density": density.get(m, 1.0), **costs, "full_model_flops": 2e10,
         "attention_share": n / (n + k), "saving_attention": 1 - density.get(m, 1.0),
         "saving_model": n / (n + k) * (1 - density.get(m, 1.0)), "encoder": encoder}
        for (encoder, k), m, n in itertools.product(
            (("from scratch", 768), ("bert-base", 4608)), modes, (25, 128, 512, 2048, 8192))
    ])  # fmt: skip
    by_length = [
        {"mode": m, "split": split, "length_from": low, "length_to": high, "sentences": n,
         "density": 1 if density.get(m, 1.0) == 1 else 0.3 + 1 / low}
        for split, m, (low, high, n) in itertools.product(
            SPLITS, modes, ((2, 10, 60), (11, 20, 260), (21, 30, 320), (31, 40, 170), (41, 128, 62))
        )
    ]  # fmt: skip
    write("density_by_length", by_length)
    write("history", [
        {"mode": m, "seed": s, "step": step, "epoch": step / 2000, "loss": 0.65 * 0.9996**step,
         "selection_accuracy": 0.83 - 0.3 * 0.999**step + random.normal(0, 0.004)}
        for m, s, step in itertools.product(modes, seeds, range(500, 4001, 500))
    ])  # fmt: skip
    write("confusion", [
        {"mode": m, "split": split, "label": label, "predicted": guess,
         "share": 0.41 if label == guess else 0.09}
        for m, split, label, guess in itertools.product(modes, SPLITS, (0, 1), (0, 1))
    ])  # fmt: skip
    special = (*TAGS, "[CLS]", "[SEP]")
    write("attention_by_tag", [
        {"mode": m, "seed": s, "layer": layer, "query_tag": q, "key_tag": k, "count": 400,
         "weight_mean": random.uniform(0, 0.1) if m != "hard" or allowed(q, k) else 0.0}
        for m, s, layer, q, k in itertools.product(modes, seeds, (0, 1), special, special)
    ])  # fmt: skip
    write("attention_examples", [
        {"mode": m, "seed": seeds[0], "sentence": n, "layer": layer, "head": head, "query": i,
         "key": j, "query_piece": q, "key_piece": k, "query_tag": q_tag, "key_tag": k_tag,
         "weight": random.uniform(0, 0.3), "allowed": m != "hard" or allowed(q_tag, k_tag)}
        for m, n, layer, head, (i, (q, q_tag)), (j, (k, k_tag)) in itertools.product(
            modes, (0, 1), (0, 1), (0, 1), enumerate(PIECES), enumerate(PIECES))
    ])  # fmt: skip
    statements = [f"accuracy on SST-2 validation, {mode}" for mode in PAPER]
    statements += ["hard and soft keep comparable accuracy", "less work", "easier to interpret"]
    claims = [
        {"claim": f"C{n}", "statement": statement, "paper": "0.8200",
         "ours": "0.8119", "interval": "0.7990 to 0.8251 (next seed)", "verdict": "compatible",
         "evidence": "results.csv: mean of 3 seeds on 872 rows"}
        for n, statement in enumerate(statements, 1)
    ]  # fmt: skip
    write("claims", pd.DataFrame(claims).iloc[: None if is_sst2 else 0])
    statistics = paths.RULES / "statistics"
    shares = random.dirichlet(np.full(len(TAGS), 3.0))
    write("tag_frequencies", [
        {"split": split, "tag": tag, "count": round(9e4 * share), "share": share}
        for split in ("train", "validation")
        for tag, share in zip(TAGS, random.dirichlet(900 * shares), strict=True)
    ], statistics)  # fmt: skip
    write("tag_pairs", [
        {"query_tag": q, "key_tag": k, "count": n, "share": n / 2e5,
         "pmi_adjacent": random.normal() if n else None, "pmi_near": random.normal() if n else None,
         "allowed_hard": allowed(q, k), "count_validation": n // 20}
        for q, k in itertools.product(TAGS, TAGS) for n in [int(random.integers(0, 4000))]
    ], statistics)  # fmt: skip
    write("rules", [
        {"rule": f"{q}->{k}", "query_tag": q, "key_tag": k, "fires": 900, "sentences": 300,
         "source": "own tag" if q == k else "paper", "density_share": 0.05,
         "saving_if_dropped": random.uniform(0, 0.05)}
        for q, k in itertools.product(TAGS, TAGS) if allowed(q, k)
    ], statistics)  # fmt: skip
    write("density", [
        {"mode": m, "split": split, "density": density.get(m, 1.0), "pairs": 9e5,
         "allowed_pairs": 3e5}
        for m, split in itertools.product(modes, ("train", "selection", "validation", "test"))
    ], statistics)  # fmt: skip
    write("density_by_length", by_length, statistics)
    artifacts.write_json(
        root / statistics / "notices.json", {"never_fires": ["ADJ->PROPN"], "only_self": ["ADV"]}
    )
    substitutes = ["The encoder starts from random weights, not from prajjwal1/bert-tiny."]
    if not is_sst2:
        substitutes.insert(0, "SST-2 is unavailable; the probe corpus replaces it.")
    provenance = {
        "is_sst2": is_sst2,
        "corpus": {"name": "sst2" if is_sst2 else "probe", "source": "mirror", "revision": None,
                   "rows": {"train": 67349, "selection": 500, "validation": 872, "test": 1821},
                   "sha256": {"train": "d6d6" * 16, "validation": "671a" * 16}},
        "tagger": {"name": "ewt", "source": "mirror", "sha256": "ab12" * 16},
        "encoder": {"source": "from_scratch", "checkpoint": None, "pretrained": False,
                    "is_paper_checkpoint": False, "vocabulary": "bert-base-uncased",
                    "sha256": None},
        "substitutes": substitutes,
    }  # fmt: skip
    artifacts.write_json(root / paths.provenance(), provenance)
    artifacts.write_json(root / paths.METRICS, {"corpus": "sst2", "encoder": "from scratch"})
    for mode in modes:
        artifacts.write_json(root / paths.rule_table(mode), {"mode": mode, "tags": [], "bias": []})
        for seed in seeds:
            write_cell(root / paths.cell(paths.CORE, mode, seed), mode, seed)


def write_cell(folder: Path, arm: str, seed: int, mode: str = "", rows: dict | None = None) -> None:
    """Write the files of one finished cell, with predictions drawn from its name and seed."""
    random = np.random.default_rng(seed + sum(arm.encode()))
    rows, parts = rows or {"validation": 30, "test": 40}, []
    for split, count in rows.items():
        logits = [list(row) for row in random.normal(size=(count, 2))]
        labels = np.arange(count) % 2
        parts.append(
            pd.DataFrame({"split": split, "id": range(count), "label": labels, "logits": logits})
        )
    write_table(folder / "predictions.parquet", pd.concat(parts))
    write_table(
        folder / "history.csv",
        pd.DataFrame({"step": [1], "epoch": [1.0], "loss": [0.7], "selection_accuracy": [0.5]}),
    )
    summary = {"recipe": "from_scratch", "train_sentences": 9, "steps": 1, "checkpoint": "last",
               "best_step": 1, "selection_accuracy": 0.5, "parameters": 10}  # fmt: skip
    about = {"arm": arm, "mode": mode or arm, "seed": seed, "settings": {"max_pieces": 128},
             "pattern_sha256": digest(PATTERN), "data_sha256": "cd" * 32, "machine": MACHINE,
             "summary": summary, "weights_of": None, "taken_from": None,
             "density": dict.fromkeys(("selection", *rows), 0.34)}  # fmt: skip
    artifacts.write_json(folder / "cell.json", about)


def sentence_marks(rows: dict | None = None) -> pd.DataFrame:
    """Return the marks of the sentences that `write_cell` predicts."""
    parts = []
    for split, count in (rows or {"validation": 30, "test": 40}).items():
        part = pd.DataFrame({"split": split, "id": range(count), "label": np.arange(count) % 2})
        parts.append(part.assign(pieces=10, bag=1, bag_probability=0.7, majority=0, negated=True))
    return pd.concat(parts, ignore_index=True)


def difference_rows(arms: dict[str, str], seeds: tuple, random: np.random.Generator) -> list[dict]:
    """Return rows of differences.csv of arms (with their modes) against full."""
    return [
        {"arm": arm, "reference": "full", "split": split, "seeds": len(seeds), "n": ROWS[split],
         "difference_points": d, "low_points": d - 1.4, "high_points": d + 1.3, "p": 0.4,
         "bootstrap_low_points": d - 1.2, "bootstrap_high_points": d + 1.1,
         "smallest_points": 2.1, "discordant_share": 0.07}
        for arm, split in itertools.product(arms, SPLITS) for d in [random.normal(0, 0.4)]
    ]  # fmt: skip


def verdict_rows(arms: dict[str, str], seeds: tuple) -> list[dict]:
    """Return rows of verdicts.csv of arms against full; hard is equivalent, others inconclusive."""
    return [
        {"family": "accuracy is kept", "question": f"{arm} keeps full's accuracy",
         "kind": "equivalence", "arm": arm, "reference": "full", "split": "pooled", "seeds": len(seeds), "n": 2693,
         "margin_points": 1.5, "difference_points": -0.2, "low_points": -1.1, "high_points": 0.7,
         "level": 0.9, "p": 0.02, "p_holm": 0.04, "p_worse": 0.9, "p_worse_holm": 1.0,
         "p_two_sided": 0.5, "p_two_sided_holm": 0.6, "smallest_points": 1.31,
         "test_difference_points": -0.1, "fresh_difference_points": None, "floor": None,
         "share": None, "share_low": None, "share_high": None,
         "verdict": "equivalent within 1.5 pp" if arm == "hard" else "inconclusive"}
        for arm in arms
    ]  # fmt: skip


def write_study(root: Path, name: str, corpus: str, arms: dict[str, str], seeds: tuple) -> None:
    """Write the tables of a published study on a corpus.

    Args:
        root: Of the workspace.
        name: Of the study.
        corpus: Its corpus.
        arms: The mode of every arm.
        seeds: Its seeds.
    """
    random = np.random.default_rng(5)
    folder = root / paths.RESULTS / name / corpus
    tables = {
        "arms": [
            {"arm": arm, "mode": mode, "split": split, "seeds": len(seeds), "n": ROWS[split],
             "accuracy_mean": 0.8, "accuracy_sd": 0.01, "accuracy_min": 0.79, "accuracy_max": 0.81,
             "prediction_low": 0.77, "prediction_high": 0.83, "f1_mean": 0.8, "f1_sd": 0.01,
             "density": 0.34}
            for (arm, mode), split in itertools.product(arms.items(), SPLITS)
        ],
        "differences": difference_rows({a: m for a, m in arms.items() if a != "full"}, seeds, random),
        "verdicts": verdict_rows({a: m for a, m in arms.items() if a != "full"}, seeds),
        "baselines": [
            {"baseline": name, "split": split, "n": ROWS[split], "accuracy": 0.81,
             "wilson_low": 0.79, "wilson_high": 0.83}
            for name in ("majority", "bag of words") for split in SPLITS
        ],
    }  # fmt: skip
    for table, rows in tables.items():
        write_table(folder / "tables" / f"{table}.csv", pd.DataFrame(rows))
    cells = [f"{arm}-{seed}" for arm in arms for seed in seeds]
    write_table(folder / "seconds.csv", pd.DataFrame({"cell": cells, "seconds": 60.0}))


def write_answers(root: Path, name: str, corpus: str, decided: dict[tuple[str, str], dict]) -> None:
    """Write the tables of a declared study with an invented answer to each of its questions.

    Args:
        root: Of the workspace.
        name: Of a study of this repository.
        corpus: One of the study's.
        decided: Kind and arm of a question (or kind, arm and reference) -> what its row has instead
            of the defaults.
    """
    study = studies.load(name)
    plan = study.plan(corpus)
    modes = {arm: study.arms[arm].mode for arm in plan.arms}
    write_study(root, name, corpus, modes, plan.seeds)
    (row, *_) = verdict_rows({"hard": "hard"}, plan.seeds)
    rows = [
        {**row, "family": family.name, "question": question.text, "kind": question.kind,
         "arm": question.arm, "reference": question.reference, "floor": question.floor,
         "level": 0.9 if question.kind == "equivalence" else 0.95,
         "verdict": "headroom shown" if question.kind == "gate" else "inconclusive",
         **({"share": 0.5, "share_low": 0.4, "share_high": 0.6} if question.kind == "share" else {}),
         **decided.get((question.kind, question.arm), {}),
         **decided.get((question.kind, question.arm, question.reference), {})}
        for family in study.families for question in family.questions
    ]  # fmt: skip
    write_table(root / paths.RESULTS / name / corpus / "tables/verdicts.csv", pd.DataFrame(rows))


def write_archive(root: Path, name: str, corpus: str, arms: tuple) -> None:
    """Write a study of an earlier version: differences and times, no cells of today's format."""
    folder = root / paths.RESULTS / name / corpus / "tables"
    rows = [
        {"base": corpus, "arm": arm, "study": name, "mode": arm, "split": split, "density": 0.3,
         "seeds": 3, "n": ROWS[split], "accuracy_mean": 0.88, "accuracy_sd": 0.003,
         "difference_points_to_full": np.nan if arm == "full" else -0.2,
         "low_points_to_full": np.nan if arm == "full" else -0.9,
         "high_points_to_full": np.nan if arm == "full" else 0.5}
        for arm, split in itertools.product(arms, SPLITS)
    ]  # fmt: skip
    write_table(folder / "arms.csv", pd.DataFrame(rows))
    times = [
        {"length": n, "documents": 9, "what": "training step", "mode": arm,
         "seconds_per_document": 0.02, "ratio": 0.9, "ratio_low": 0.8, "ratio_high": 1.0,
         "rounds": 3, "density": 0.3, "peak_mib": np.nan}
        for arm, n in itertools.product(arms, (512, 2048))
    ]  # fmt: skip
    write_table(folder.parent / "times.csv", pd.DataFrame(times))
