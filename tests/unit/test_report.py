"""The report on a small invented run: same bytes twice, nothing loaded, failures kept."""

import re
import shutil
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from finished_run import MODES, SEEDS, verdict_rows, write_archive, write_run, write_study
from in_process import run_here

from ggsa import report
from ggsa.report import page, publish, readme, rendering, settings, summary, tables, wording
from ggsa.training import studies
from ggsa.workspace import artifacts, config, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import PREDICTION_COLUMNS, write_table
from ggsa.workspace.vocabulary import DID_NOT_LEARN

ROOT = Path(__file__).parents[2]
PIECE_COLUMNS = ("query_piece", "key_piece")


def params_of(modes: tuple = MODES, seeds: tuple = SEEDS) -> config.Params:
    params = config.load(ROOT / "params.yaml")
    grid = params.grid.model_copy(update={"modes": modes, "seeds": seeds})
    few = params.report.model_copy(update={"figure_dpi": 60, "timeout_seconds": 120})
    return params.model_copy(update={"grid": grid, "report": few})


def workspace(folder: Path, **run) -> Path:
    write_run(folder, **run)
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    (folder / "studies").symlink_to(ROOT / "studies")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["grid"] = {"modes": list(MODES), "seeds": list(SEEDS)}
    params["report"] |= {"figure_dpi": 60, "timeout_seconds": 120}
    artifacts.write_text(folder / paths.PARAMS, yaml.safe_dump(params))
    return folder


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A workspace whose report was rendered twice: its folder, and the first rendering's files."""
    folder = workspace(tmp_path_factory.mktemp("run"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        report.render(params_of())
        first = files_of(folder)
        report.render(params_of())
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
    sources = re.findall(r'\b(?:src|xlink:href)\s*=\s*["\']?([^"\'\s>]{1,30})', page)
    assert sources and all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    assert re.findall(r"<link\b[^>]*>", page) == ['<link rel="icon" href="data:,">']
    for loader in ("<iframe", "@import", "srcset", "<object", "<embed", "fetch("):
        assert loader not in page
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)", page))
    scripts = re.findall(r"<script([^>]*)>", page)
    assert scripts and not any("src" in attributes for attributes in scripts)


def test_the_page_stays_below_five_megabytes(rendered):
    assert len(rendered[1]["report.html"]) < 5e6


def test_the_page_holds_every_figure_and_no_path_of_the_machine(rendered):
    folder, first = rendered
    page = first["report.html"].decode("utf-8")
    assert page.count("<figure") == len(first) - 1
    assert str(folder) not in page and str(ROOT) not in page


def test_cells_display_figures_and_tables_and_no_other_value(rendered):
    """A cell that ends with `axes.legend()` would display `<matplotlib.legend.Legend ...>`."""
    assert "output_execute_result" not in rendered[1]["report.html"].decode("utf-8")


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


ABOUT_THE_PAPER = ("sst-2", "sst2", "paper", "arxiv", "0.8200", "0.8165", "film")


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """A workspace whose run is on a user's own file; notebooks run in-process."""
    monkeypatch.chdir(workspace(tmp_path, is_sst2=False))
    monkeypatch.setattr(rendering, "execute", run_here)
    provenance = artifacts.read_json(paths.provenance())
    provenance["corpus"] |= {
        "name": "files", "source": "files", "files": {"train": {"name": "mine.csv"}}
    }  # fmt: skip
    provenance["substitutes"] = []
    artifacts.write_json(paths.provenance(), provenance)
    return tmp_path


def visible(page: str) -> str:
    """Return what a reader of a page sees, and what a screen reader reads, in lower case."""
    page = re.sub(r"<(script|style)\b.*?</\1>|base64,[^\"]+", "", page, flags=re.DOTALL)
    alternatives = re.findall(r'(?:alt|title|aria-label|data-label)="([^"]*)"', page)
    return " ".join([re.sub(r"<[^>]+>", " ", page), *alternatives]).lower()


@pytest.mark.usefixtures("own")
def test_a_run_on_ones_own_corpus_says_nothing_about_the_paper_or_its_corpus():
    report.render(params_of())
    page = visible(paths.REPORT.read_text(encoding="utf-8"))
    text = summary.text(params_of()).lower()
    for word in ABOUT_THE_PAPER:
        assert word not in page, page[page.index(word) - 80 :][:160]
        assert word not in text, text
    for shown in (page, text):
        assert "the user’s own file mine.csv" in " ".join(shown.split())
        assert "minus full" in shown and "± " in shown
    assert "which rules would you choose" not in page  # no playground follows
    assert "our own" not in page and "corpus.examples" in page


@pytest.mark.usefixtures("own")
def test_one_mode_and_one_seed_on_ones_own_corpus_make_a_report(tmp_path):
    for name in ("differences", "mcnemar", "verdicts"):
        columns = pd.read_csv(paths.TABLES / f"{name}.csv").columns
        write_table(paths.TABLES / f"{name}.csv", pd.DataFrame(columns=columns))
    results = pd.read_csv(paths.TABLES / "results.csv").query("mode == 'full'")
    results = results.assign(seeds=1, verdict=DID_NOT_LEARN)
    write_table(paths.TABLES / "results.csv", results)
    report.render(params_of(modes=("full",), seeds=(13,)))
    page = visible(paths.REPORT.read_text(encoding="utf-8"))
    assert f"full {DID_NOT_LEARN}" in page and "no verdict is stated" in page
    assert "nan" not in page.split()


def test_changed_rules_and_an_altered_sst2_are_named_before_the_title(own):
    params = params_of()
    rules = params.rules.model_copy(update={"drop": ("ADJ->NOUN",)})
    params = params.model_copy(update={"rules": rules})
    assert summary.text(params).splitlines()[1:3] == [
        "THE RULES WERE CHANGED",
        "The hard table was changed: ADJ->NOUN dropped.",
    ]
    provenance = artifacts.read_json(paths.provenance())
    provenance["corpus"]["name"] = "sst2"
    artifacts.write_json(paths.provenance(), provenance)
    assert "THIS RUN IS NOT ON SST-2" in summary.text(params)


def test_a_failing_notebook_is_a_user_error_and_its_partial_output_is_kept(
    tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    cells = [
        nbformat.v4.new_code_cell("number = 1", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("print('as far as', number)"),
        nbformat.v4.new_code_cell("get_ipython().kernel.log.error('as when it is stopped')"),
        nbformat.v4.new_code_cell("import os\nprint('beside it:', sorted(os.listdir()))"),
        nbformat.v4.new_code_cell("{}['absent column']"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), "broken.ipynb")
    with pytest.raises(UserError, match=r"broken\.ipynb.*absent column.*notebooks/broken\.ipynb"):
        rendering.execute(Path("broken.ipynb"), {"number": 2}, timeout_seconds=60)
    kept = (paths.FAILED_NOTEBOOKS / "broken.ipynb").read_text(encoding="utf-8")
    assert "as far as 2" in kept and "beside it: ['broken.ipynb']" in kept
    assert "as when it is stopped" not in "".join(capfd.readouterr())


def test_a_failure_is_reported_where_its_output_cannot_be_kept(tmp_path):
    (tmp_path / "partial").write_text("{}")
    (tmp_path / "file").write_text("")
    error = rendering._failure(
        Path("broken.ipynb"), tmp_path / "partial", tmp_path / "file/kept", "ValueError: 2."
    )
    assert str(error).startswith("The notebook broken.ipynb failed: ValueError: 2. Its outputs")
    assert "could not be kept" in str(error)


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


def test_the_page_of_this_run_is_the_same_whatever_is_published(rendered, tmp_path, monkeypatch):
    """No stage reads reports/published."""
    shutil.copytree(rendered[0], tmp_path / "run", symlinks=True)
    monkeypatch.chdir(tmp_path / "run")
    publish_everything()
    monkeypatch.setattr(rendering, "execute", run_here)
    report.render(params_of())
    with_published = paths.REPORT.read_bytes()
    shutil.rmtree(paths.PUBLISHED)
    report.render(params_of())
    assert paths.REPORT.read_bytes() == with_published
    assert b"In seconds" not in with_published and b'id="study-' not in with_published


CONTROLS = "controls", "probe"
"""A study of this repository, to which tables are invented here."""


def publish_everything() -> None:
    """Write what other commands publish: the benchmark, a study and an archived study."""
    study = studies.load(CONTROLS[0])
    plan = study.corpora[CONTROLS[1]]
    arms = {arm: study.arms[arm].mode for arm in plan.arms}
    write_study(Path(), *CONTROLS, arms, plan.seeds)
    write_archive(Path(), "long", "imdb", ("full", "hard", "window"))
    shutil.copytree(ROOT / paths.BENCHMARK, paths.BENCHMARK)


@pytest.fixture(scope="module")
def published_once(tmp_path_factory) -> Path:
    """A finished run beside a benchmark and two studies, all of it published."""
    folder = workspace(tmp_path_factory.mktemp("once") / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(rendering, "execute", run_here)
        publish_everything()
        marks = "\n".join(mark for name in readme.BLOCKS for mark in readme.marks(name))
        readme.README.write_text(f"# Title\n\n{marks}\n\nRest.\n")
        publish.publish(params_of())
    return folder


@pytest.fixture
def published(published_once, tmp_path, monkeypatch) -> dict[str, bytes]:
    """A copy of that workspace to change; notebooks run in-process. Returns what is published."""
    shutil.copytree(published_once, tmp_path / "run", symlinks=True)
    monkeypatch.chdir(tmp_path / "run")
    monkeypatch.setattr(rendering, "execute", run_here)
    return published_files()


def published_files() -> dict[str, bytes]:
    files = [path for path in paths.PUBLISHED.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in [*files, readme.README]}


@pytest.mark.usefixtures("published")
def test_publishing_copies_the_run_without_text_and_writes_the_readme():
    cell = paths.PUBLISHED / "runs" / "hard-42"
    assert {path.name for path in cell.iterdir()} == {
        "predictions.parquet", "history.csv", "cell.json"
    }  # fmt: skip
    assert tuple(pd.read_parquet(cell / "predictions.parquet")) == PREDICTION_COLUMNS
    names = {path.name for path in paths.PUBLISHED.iterdir()}
    assert names == {"report.html", "tables", "figures", "metrics.json", "provenance.json", "rules",
                     "params.yaml", "runs", "SHA256SUMS", "studies", "benchmark"}  # fmt: skip
    text = readme.README.read_text(encoding="utf-8")
    assert text.startswith("# Title\n") and text.endswith("\n\nRest.\n")
    assert "compatible" in readme.block_of(text, "results")
    assert "| C5 " in readme.block_of(text, "claims")


def test_publishing_twice_gives_identical_bytes(published):
    publish.publish(params_of())
    assert published_files() == published


def test_studies_are_published_around_the_published_run_without_a_run(published):
    for folder in (paths.TABLES, paths.RULES, paths.RUNS):
        shutil.rmtree(folder)
    shutil.rmtree(paths.PUBLISHED / "figures")
    publish.publish_studies()
    assert published_files() == published
    shutil.rmtree(paths.PUBLISHED)
    with pytest.raises(UserError, match=r"reports/published holds no run that could be kept"):
        publish.publish_studies()


@pytest.mark.usefixtures("published")
def test_the_published_page_has_the_measured_times_and_a_chapter_for_each_study():
    page = (paths.PUBLISHED / "report.html").read_text(encoding="utf-8")
    for anchor in (
        "times-in-seconds",
        "study-controls-probe",
        "study-long-imdb",
        "record",
    ):
        assert f'id="{anchor}"' in page
    assert 'id="T_studies-run"' in page
    anchors = re.findall(r'\bid="([^"]+)"', page)
    assert len(anchors) == len(set(anchors))
    assert "publishing-" not in page


def test_a_failure_while_publishing_changes_nothing(published, monkeypatch):
    results = pd.read_csv(paths.TABLES / "results.csv")
    write_table(paths.TABLES / "results.csv", results.assign(accuracy_mean=0.5))

    def fail(path: Path, *given):
        if path.stem == "study":
            raise UserError("the last notebook fails")
        return run_here(path, *given)

    monkeypatch.setattr(rendering, "execute", fail)
    with pytest.raises(UserError, match="the last notebook"):
        publish.publish(params_of())
    assert published_files() == published
    assert not [path for path in paths.PUBLISHED.parent.iterdir() if "publishing" in path.name]


def fragment_of(study: str, corpus: str) -> str:
    """Return the chapter of a study."""
    given = {"study": study, "corpus": corpus, "figures": "figures", "figure_dpi": 60}
    given["folder"] = str(studies.results(study, corpus))
    notebook = rendering.execute(paths.NOTEBOOKS / "study.ipynb", given, 120)
    return rendering.as_fragment(rendering.stripped(notebook, study))


def test_a_kernel_renders_a_study_with_its_arms_differences_and_verdicts(tmp_path, monkeypatch):
    monkeypatch.chdir(workspace(tmp_path))
    publish_everything()
    study = studies.load(CONTROLS[0])
    chapter = fragment_of(*CONTROLS)
    for text in (study.title, study.question, "Verdicts", "equivalent within 1.5 pp", "<figure"):
        assert text in chapter
    for arm in study.corpora[CONTROLS[1]].arms:
        assert f">{arm}<" in chapter


def test_a_notebook_runs_in_this_interpreter_whatever_the_user_has_installed(tmp_path, monkeypatch):
    foreign, startup = tmp_path / "jupyter", "raise SystemExit('the start-up code of a user ran')"
    argv = [sys.executable, "-c", "raise SystemExit('the kernel of a user ran')"]
    spec = {"argv": argv, "display_name": "foreign", "language": "python"}
    artifacts.write_json(foreign / "kernels" / rendering.KERNEL / "kernel.json", spec)
    for path in (tmp_path / "startup.py", tmp_path / "ipython/profile_default/startup/1.py"):
        artifacts.write_text(path, startup)
    template = foreign / "nbconvert/templates/basic"
    artifacts.write_json(template / "conf.json", {"base_template": "base"})
    artifacts.write_text(template / "index.html.j2", "the template of a user")
    monkeypatch.setenv("JUPYTER_PATH", str(foreign))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "startup.py"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    cells = [
        nbformat.v4.new_code_cell("given = 1", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("import sys\nsys.executable"),
    ]
    named = {"kernelspec": {"name": rendering.KERNEL, "display_name": "Python 3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=named), tmp_path / "one.ipynb")
    notebook = rendering.execute(tmp_path / "one.ipynb", {"given": 2}, 60)
    fragment = rendering.as_fragment(rendering.stripped(notebook, "one"))
    assert sys.executable in fragment and "of a user" not in fragment


WORDS_LIKE_VALUES = ("null", "NA", "nan", "None", "1")


def test_a_word_that_looks_like_a_missing_value_is_a_word_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(workspace(tmp_path))
    path = paths.TABLES / "attention_examples.csv"
    examples = pd.read_csv(path)
    pieces = examples["query_piece"].unique()
    names = dict(zip(pieces, WORDS_LIKE_VALUES, strict=False))
    renamed = {column: examples[column].replace(names) for column in PIECE_COLUMNS}
    write_table(path, examples.assign(**renamed))
    run = rendering.Run(
        paths.TABLES, paths.RULES / "statistics", paths.provenance(), Path("figures")
    )
    notebook = run_here(paths.NOTEBOOKS / "attention.ipynb", run.parameters(60))
    text = rendering.as_fragment(rendering.stripped(notebook, "attention"))
    assert len(names) > 3
    assert [word for word in names.values() if f'"{word}"' not in text] == []


def test_an_archived_study_shows_differences_and_times_and_no_verdict(tmp_path, monkeypatch):
    monkeypatch.chdir(workspace(tmp_path))
    monkeypatch.setattr(rendering, "execute", run_here)
    write_archive(Path(), "long", "imdb", ("full", "hard", "window"))
    chapter = fragment_of("long", "imdb")
    assert "<figure" in chapter and "time over full" in chapter
    assert "archived" in chapter and "Verdicts" not in chapter


def test_each_published_setting_is_a_row_and_no_other(tmp_path, monkeypatch):
    monkeypatch.chdir(workspace(tmp_path))
    core = paths.TABLES
    labels = [setting.label for setting in settings.SETTINGS]
    assert settings.settings_table(core)["setting"].tolist() == labels[:1]
    write_study(Path(), "pretrained", "sst2", {"full": "full", "hard": "hard"}, SEEDS)
    folder = paths.RESULTS / "pretrained/sst2/tables"
    verdicts = tables.read(folder, "verdicts")
    hard = verdicts[verdicts["arm"] == "hard"]
    share = hard.assign(kind="share", share=0.12, share_low=0.05, share_high=0.19)
    write_table(folder / "verdicts.csv", pd.concat([verdicts, share]))
    table = settings.settings_table(core).set_index("setting")
    assert table.index.tolist() == labels[:2]
    row = table.loc[labels[1]]
    assert row["full"] == "0.8000"
    assert row["hard − full (pp)"] == "−0.20 (−1.10 to +0.70)"
    assert (row["hard keeps"], row["a window keeps"]) == ("12% (5% to 19%)", "–")
    unbounded = share.assign(share_low=np.nan, share_high=np.nan, verdict="not estimable")
    write_table(folder / "verdicts.csv", unbounded)
    table = settings.settings_table(core).set_index("setting")
    assert table.loc[labels[1], "hard keeps"] == "not estimable"


def test_another_corpus_is_published_only_when_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(workspace(tmp_path, is_sst2=False))
    with pytest.raises(UserError, match=r"Nothing was published.*any corpus"):
        publish.publish(params_of())
    assert not paths.PUBLISHED.exists()


def test_the_readme_of_another_corpus_has_no_column_and_no_claim_of_the_paper(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(workspace(tmp_path, is_sst2=False))
    block = readme.results_block(paths.TABLES, artifacts.read_json(paths.provenance()))
    assert "minus full (pp)" in block and "paper" not in block
    assert "C1" not in readme.claims_block(paths.TABLES)


def test_a_run_of_another_grid_is_not_published(tmp_path, monkeypatch):
    monkeypatch.chdir(workspace(tmp_path))
    with pytest.raises(UserError, match="full-99"):
        publish.publish(params_of(seeds=(*SEEDS, 99)))


def test_a_readme_without_marks_is_refused_before_anything_is_published(tmp_path, monkeypatch):
    monkeypatch.chdir(workspace(tmp_path))
    readme.README.write_text("# Title\n")
    with pytest.raises(UserError, match="answer:begin"):
        publish.publish(params_of())
    assert not paths.PUBLISHED.exists()


def test_the_machines_of_a_study_are_named_with_their_seeds():
    cpu = {"cpu_vendor": "Maker", "cpu_family": "6", "cpu_model": "7", "cpu_stepping": "1"}
    first = {**cpu, "cpu_capability": "AVX2", "threads": 1, "torch": "2.0", "device": "cpu"}
    second = {**first, "device": "Some GPU"}
    cells = [{"seed": seed, "machine": first} for seed in (2, 1, 2)]
    named = "Maker family 6 model 7, PyTorch 2.0, threads: 1"
    shared = [{"seed": 3, "machine": {**second, "world_size": 4}}]
    assert "Some GPU, PyTorch 2.0, threads: 1, processes: 4." in wording.machines(shared)
    assert wording.machines([]) == ""
    assert wording.machines(cells) == f"One machine trained all cells: {named}."
    assert wording.machines([*cells, {"seed": 3, "machine": second}]) == (
        f"Trained on {named}: seeds 1 and 2; Some GPU, PyTorch 2.0, threads: 1: seed 3."
    )


def test_the_summary_shows_banner_table_and_path(tmp_path, monkeypatch):
    monkeypatch.chdir(workspace(tmp_path, is_sst2=False))
    text = summary.text(params_of())
    assert text.startswith("!!!") and "minus full" in text and "0.8200" not in text
    assert text.endswith(str(Path("reports/report.html").resolve()))


def test_arms_that_never_differ_have_a_verdict_and_nothing_that_rests_on_spread() -> None:
    same = {"difference_points": 0.0, "low_points": 0.0, "high_points": 0.0, "smallest_points": 0.0,
            "p_holm": 0.0, "p_two_sided_holm": 1.0,
            "verdict": "no verdict: the arms never differ"}  # fmt: skip
    rows = verdict_rows({"hard": "hard", "soft": "soft"}, (7, 13, 42))
    shown = tables.verdict_rows(pd.DataFrame([rows[0] | same, rows[1]]))
    assert shown["interval (pp)"].tolist() == [wording.NONE, "−1.10 to +0.70 (90%)"]
    assert shown["detectable (pp)"].tolist() == [wording.NONE, "1.31"]
    for column in ("p (Holm)", "p of no difference (Holm)"):
        assert shown.loc[0, column] == wording.NONE and shown.loc[1, column] != wording.NONE
    assert shown["verdict"].tolist() == [same["verdict"], "inconclusive"]


def test_the_line_on_a_run_says_where_rows_of_two_splits_are_the_same() -> None:
    rows = {"train": 243, "selection": 24, "validation": 30, "test": 27, "examples": 3}
    about = {"is_sst2": True, "encoder": {"pretrained": False}, "substitutes": []}
    for leaking, text in ((25, " (cut from train, which still lists them)"), (0, "")):
        corpus = {"name": "sst2", "rows": rows, "leaking_rows": leaking}
        line = page.run_line(config.load(), {**about, "corpus": corpus})
        counts = f"train 243, selection 24{text}, validation 30, test 27."
        assert line.endswith(f"Rows of every split: {counts}")


def test_zero_has_no_minus_sign():
    assert wording.points(-0.001) == "0.00"
    assert wording.points(-0.34) == "−0.34"
    assert wording.points(float("nan")) == wording.NONE
