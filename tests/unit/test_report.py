"""The report on a small run made up here: same bytes twice, nothing loaded, failures kept."""

import json
import os
import re
import shutil
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from finished_run import MODES, SEEDS, write_run

from ggsa import report
from ggsa.report import publish, rendering, summary, wording
from ggsa.workspace import config, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import PREDICTION_COLUMNS, write_table

ROOT = Path(__file__).parents[2]


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
    for loader in ("<iframe", "@import", "url(", "srcset", "<object", "<embed", "fetch("):
        assert loader not in page
    scripts = re.findall(r"<script([^>]*)>", page)
    assert scripts and not any("src" in attributes for attributes in scripts)


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
        write_table(paths.TABLES / f"{name}.csv", pd.DataFrame(columns=columns))
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
    assert tuple(pd.read_parquet(published)) == PREDICTION_COLUMNS
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
    assert text.startswith("!!!") and "minus full" in text and "0.8200" not in text
    assert text.endswith(str(Path("reports/report.html").resolve()))


def test_a_minus_sign_never_stands_before_nought():
    assert wording.points(-0.001) == "0.00"
    assert wording.points(-0.34) == "−0.34"
    assert wording.points(float("nan")) == wording.NONE


def test_the_abstract_names_every_verdict_once():
    results = pd.DataFrame(
        {"mode": ["full", "hard", "soft", "full"], "split": ["validation"] * 3 + ["test"],
         "verdict": ["reproduced", "not reproduced", "reproduced", ""]}
    )  # fmt: skip
    claims = pd.DataFrame(
        {"statement": ["accuracy, full", "attention is easier to interpret", "work is lower"],
         "verdict": ["reproduced", "not measured", "partly supported"]}
    )  # fmt: skip
    assert wording.verdicts(results, claims) == (
        "By the rules fixed beforehand, the published accuracy is reproduced for full and soft and "
        "not reproduced for hard, that attention is easier to interpret is not measured and that "
        "work is lower is partly supported."
    )
    assert wording.verdicts(results.assign(verdict=""), claims.assign(verdict="")) == ""


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
