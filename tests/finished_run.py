"""A finished run made up here: every table that the report reads, with invented numbers."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from ggsa.workspace import artifacts, paths
from ggsa.workspace.tables import write_table

MODES, SEEDS, SPLITS = ("full", "hard", "soft"), (13, 42, 71), ("validation", "test", "pooled")
ROWS = {"validation": 872, "test": 1821, "pooled": 2693}
TAGS = ("ADJ", "ADP", "ADV", "CCONJ", "DET", "NOUN", "PART", "PRON", "PUNCT", "VERB")
PIECES = (("[CLS]", "[CLS]"), ("the", "DET"), ("act", "NOUN"), ("##ing", "NOUN"), ("is", "VERB"),
          ("not", "PART"), ("bad", "ADJ"), (".", "PUNCT"), ("[SEP]", "[SEP]"))  # fmt: skip
PAPER = {"full": 715 / 872, "hard": 715 / 872, "soft": 712 / 872}


def allowed(query: str, key: str) -> bool:
    """A rule table of this file's own, for the look of the figures."""
    pairs = {("ADJ", "NOUN"), ("NOUN", "ADJ"), ("DET", "NOUN"), ("VERB", "NOUN"), ("VERB", "ADV")}
    return query in (key, "[CLS]") or (query, key) in pairs


def write_run(root: Path, is_sst2: bool = True, modes: tuple = MODES, seeds: tuple = SEEDS) -> None:
    """Write every file that a finished run leaves, with made-up numbers."""
    random = np.random.default_rng(7)
    density = {"full": 1.0, "hard": 0.34}

    def write(name: str, rows: list[dict], folder: Path = paths.TABLES) -> None:
        write_table(root / folder / f"{name}.csv", pd.DataFrame(rows))

    runs = [
        {"mode": m, "seed": s, "split": split, "n": ROWS[split], "accuracy": a,
         "correct": round(a * ROWS[split]), "wilson_low": a - 0.026, "wilson_high": a + 0.025,
         "f1": a + 0.004}
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
            {"mode": mode, "split": split, "seeds": len(part), "n": ROWS[split],
             "accuracy_mean": part.mean(), "accuracy_sd": deviation, "accuracy_min": part.min(),
             "accuracy_max": part.max(), "prediction_low": part.mean() - 4.97 * deviation,
             "prediction_high": part.mean() + 4.97 * deviation, "f1_mean": part.mean() + 0.004,
             "f1_sd": deviation, "density": density.get(mode, 1.0), "paper": paper,
             "paper_low": paper - 0.027, "paper_high": paper + 0.024,
             "difference_points": 100 * (part.mean() - paper) if is_sst2 else np.nan,
             "verdict": ("compatible" if is_sst2 else "not comparable") if on_paper else ""}
        )  # fmt: skip
    write("results", results)
    others = [mode for mode in modes if mode != "full"]
    write("comparisons", [
        {"mode": m, "split": split, "seeds": len(seeds), "difference_points": d,
         "low_points": d - 1.4, "high_points": d + 1.3, "p": 0.4, "p_holm": 0.8,
         "descriptive": len(seeds) < 5, "discordant_share": 0.07}
        for m, split in itertools.product(others, SPLITS) for d in [random.normal(0, 0.4)]
    ])  # fmt: skip
    write("mcnemar", [
        {"mode": m, "seed": s, "split": split, "only_full_right": 31, "only_mode_right": 28,
         "p": 0.79}
        for m, s, split in itertools.product(others, seeds, SPLITS)
    ])  # fmt: skip
    write("equivalence", [
        {"mode": m, "split": "pooled", "n": 2693, "margin_points": 1.5, "difference_points": -0.2,
         "low90_points": -1.1, "high90_points": 0.7, "p_lower": 0.01, "p_upper": 0.02, "p": 0.02,
         "p_holm": 0.04, "equivalent": m == "hard", "smallest_margin_points": 1.31}
        for m in others
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
    write("claims", [
        {"claim": f"C{n}", "statement": "accuracy on SST-2 validation", "paper": "0.8200",
         "ours": "0.8119", "interval": "0.7990 to 0.8251 (next seed)", "verdict": "compatible",
         "evidence": "results.csv: mean of 3 seeds on 872 rows"}
        for n in range(1, 7)
    ])  # fmt: skip
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
         "allowed_hard": allowed(q, k)}
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
        substitutes.insert(0, "SST-2 could not be had; the probe corpus takes its place.")
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
            write_table(
                root / paths.cell("core", mode, seed) / "predictions.parquet",
                pd.DataFrame(
                    {"split": ["validation"] * 2, "id": ["v0", "v1"], "label": [0, 1],
                     "logits": [[0.5, -0.5], [-1.0, 1.0]], "words": [["a", "secret"]] * 2}
                ),
            )  # fmt: skip
