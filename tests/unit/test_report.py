"""The report on a small run made up here: same bytes twice, nothing loaded, failures kept."""

import itertools
import json
import os
import re
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest

from ggsa import artifacts, config, paths, report
from ggsa.errors import UserError
from ggsa.report import publish, rendering, summary, wording

ROOT = Path(__file__).parents[2]
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
        artifacts.write_table(root / folder / f"{name}.csv", pd.DataFrame(rows))

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
            artifacts.write_table(
                root / paths.cell("core", mode, seed) / "predictions.parquet",
                pd.DataFrame(
                    {"split": ["validation"] * 2, "id": ["v0", "v1"], "label": [0, 1],
                     "logits": [[0.5, -0.5], [-1.0, 1.0]], "words": [["a", "secret"]] * 2}
                ),
            )  # fmt: skip


def params_of(modes: tuple = MODES, seeds: tuple = SEEDS) -> config.Params:
    params = config.load(ROOT / "params.yaml")
    grid = params.grid.model_copy(update={"modes": modes, "seeds": seeds})
    few = params.report.model_copy(update={"figure_dpi": 60, "timeout_seconds": 120})
    return params.model_copy(update={"grid": grid, "report": few})


def workspace(folder: Path, **run) -> Path:
    write_run(folder, **run)
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    shutil.copyfile(ROOT / "params.yaml", folder / "params.yaml")
    return folder


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A workspace whose report was rendered twice: its folder, and the first rendering's files."""
    folder, before = workspace(tmp_path_factory.mktemp("run")), Path.cwd()
    os.chdir(folder)
    try:
        report.render(params_of())
        first = files_of(folder)
        report.render(params_of())
    finally:
        os.chdir(before)
    return folder, first


def files_of(folder: Path) -> dict[str, bytes]:
    pictures = sorted((folder / paths.FIGURES).iterdir())
    return {path.name: path.read_bytes() for path in [folder / paths.REPORT, *pictures]}


def test_rendering_twice_gives_identical_bytes(rendered):
    folder, first = rendered
    assert len(first) > 12
    assert files_of(folder) == first


def test_the_page_loads_nothing_from_anywhere(rendered):
    page = (rendered[0] / paths.REPORT).read_text(encoding="utf-8")
    sources = re.findall(r'\bsrc\s*=\s*["\']?([^"\'\s>]{1,30})', page)
    assert sources and all(source.startswith("data:image/png;base64,") for source in sources)
    assert re.findall(r"<link\b[^>]*>", page) == ['<link rel="icon" href="data:,">']
    for loader in ("<script", "<iframe", "@import", "url(", "srcset", "<object", "<embed"):
        assert loader not in page


def test_the_page_stays_below_five_megabytes_at_the_resolution_of_params(rendered):
    params = config.load(ROOT / "params.yaml")
    scale = (params.report.figure_dpi / params_of().report.figure_dpi) ** 2
    assert len(rendered[1]["report.html"]) * scale < 5e6


def test_the_page_holds_every_figure_and_no_path_of_the_machine(rendered):
    folder, first = rendered
    page = first["report.html"].decode("utf-8")
    assert page.count("<figure") == len(first) - 1
    assert str(folder) not in page and str(ROOT) not in page


def test_every_entry_of_the_contents_leads_somewhere_and_anchors_are_unique(rendered):
    page = rendered[1]["report.html"].decode("utf-8")
    anchors = re.findall(r'\bid="([^"]+)"', page)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(anchors)


def test_a_substitute_is_named_before_the_title(rendered):
    page = rendered[1]["report.html"].decode("utf-8")
    assert page.index("random weights, not from prajjwal1/bert-tiny") < page.index("<h1>")


def test_without_substitutes_there_is_no_banner():
    assert wording.banner({"is_sst2": True, "substitutes": [], "corpus": {"name": "sst2"}}) == []


def test_one_mode_and_one_seed_on_another_corpus_make_a_report_that_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(workspace(tmp_path, is_sst2=False, modes=("full",), seeds=(13,)))
    for name in ("comparisons", "mcnemar", "equivalence"):
        columns = pd.read_csv(rendered_tables() / f"{name}.csv").columns
        artifacts.write_table(paths.TABLES / f"{name}.csv", pd.DataFrame(columns=columns))
    report.render(params_of(modes=("full",), seeds=(13,)))
    page = paths.REPORT.read_text(encoding="utf-8")
    assert page.index("This run is not on SST-2") < page.index("<h1>")
    assert 'class="chip not-comparable"' in page
    assert "nan" not in re.sub(r"base64,[^\"]+", "", page).lower().split()


def rendered_tables() -> Path:
    folder = Path("columns")
    write_run(folder)
    return folder / paths.TABLES


def test_a_failing_notebook_is_a_user_error_and_its_partial_output_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = [
        nbformat.v4.new_code_cell("number = 1", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("print('as far as', number)"),
        nbformat.v4.new_code_cell("{}['absent column']"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), "broken.ipynb")
    with pytest.raises(UserError, match=r"broken\.ipynb.*absent column.*notebooks/broken\.ipynb"):
        rendering.execute(Path("broken.ipynb"), {"number": 2}, timeout_seconds=60)
    kept = (paths.FAILED_NOTEBOOKS / "broken.ipynb").read_text(encoding="utf-8")
    assert "as far as 2" in kept


def test_a_cell_that_takes_too_long_is_stopped_with_a_user_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = [
        nbformat.v4.new_code_cell("number = 1", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("while True: pass"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), "endless.ipynb")
    with pytest.raises(UserError, match=r"longer than report\.timeout_seconds \(2\)"):
        rendering.execute(Path("endless.ipynb"), {"number": 2}, timeout_seconds=2)
    assert (paths.FAILED_NOTEBOOKS / "endless.ipynb").is_file()


def test_publishing_copies_the_run_without_text_and_writes_the_readme(rendered, monkeypatch):
    monkeypatch.chdir(rendered[0])
    publish.README.write_text(f"# Title\n\n{publish.BEGIN}\nold\n{publish.END}\n\nRest.\n")
    publish.publish(params_of())
    published = paths.PUBLISHED / "runs/hard-42.parquet"
    assert tuple(pd.read_parquet(published)) == artifacts.PREDICTION_COLUMNS
    found = {path.name for path in paths.PUBLISHED.iterdir()}
    assert found == {"report.html", "tables", "figures", "metrics.json", "provenance.json",
                     "rules", "params.yaml", "runs", "SHA256SUMS"}  # fmt: skip
    readme = publish.README.read_text(encoding="utf-8")
    assert readme.startswith("# Title\n") and readme.endswith("\n\nRest.\n") and "old" not in readme
    assert "compatible" in publish.block_of(readme)
    publish.publish(params_of())
    assert publish.README.read_text(encoding="utf-8") == readme


def test_another_corpus_is_published_only_when_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(workspace(tmp_path, is_sst2=False))
    publish.README.write_text(f"{publish.BEGIN}\n{publish.END}\n")
    with pytest.raises(UserError, match="--any-corpus"):
        publish.publish(params_of())
    assert not paths.PUBLISHED.exists()


def test_a_run_of_another_grid_is_not_published(tmp_path, monkeypatch):
    monkeypatch.chdir(workspace(tmp_path))
    publish.README.write_text(f"{publish.BEGIN}\n{publish.END}\n")
    with pytest.raises(UserError, match="full-99"):
        publish.publish(params_of(seeds=(*SEEDS, 99)))


def test_a_readme_without_marks_is_refused_before_anything_is_published(tmp_path, monkeypatch):
    monkeypatch.chdir(workspace(tmp_path))
    publish.README.write_text("# Title\n")
    with pytest.raises(UserError, match="results:begin"):
        publish.publish(params_of())
    assert not paths.PUBLISHED.exists()


def test_the_summary_shows_banner_table_and_path(tmp_path, monkeypatch):
    monkeypatch.chdir(workspace(tmp_path, is_sst2=False))
    text = summary.text(params_of())
    assert text.startswith("!!!") and "not comparable" in text
    assert text.endswith(str(Path("reports/report.html").resolve()))


def test_a_minus_sign_never_stands_before_nought():
    assert wording.points(-0.001) == "0.00"
    assert wording.points(-0.34) == "−0.34"
    assert wording.points(float("nan")) == wording.NONE


def test_the_abstract_says_not_shown_where_equivalence_failed(tmp_path):
    write_run(tmp_path)
    read = {name: pd.read_csv(tmp_path / paths.TABLES / f"{name}.csv")
            for name in ("results", "comparisons", "equivalence", "cost")}  # fmt: skip
    provenance = json.loads((tmp_path / paths.provenance()).read_text())
    said = " ".join(wording.abstract(*read.values(), provenance))
    assert "was shown for hard but could not be shown for soft" in said
    read["equivalence"]["equivalent"] = False
    said = " ".join(wording.abstract(*read.values(), provenance))
    assert "could not be shown for hard or soft" in said and "was shown for" not in said
