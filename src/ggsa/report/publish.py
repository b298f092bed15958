"""Publish the latest run: copy it to `reports/published/` and render the published pages there.

`python -m ggsa.report.publish`, called by `make publish`; no stage reads what it writes. The article
and its appendix are rendered from everything published: the run, the benchmark and the studies. With
`--keep-run`, the published run stays, so that a study can be published where no run was made.
Nothing published holds text of the corpus: predictions carry identifiers. `SHA256SUMS` lists the
files of the run, another manifest those of the studies; the benchmark writes its own.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from ggsa.report import answer, claims, page, readme, rendering, tables, wording
from ggsa.workspace import artifacts, checksums, config, paths, terminal
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import PREDICTION_COLUMNS, read_table, write_table

CELL_FILES = ("cell.json", "history.csv")  # beside the predictions; weights are not published
ARTICLE, APPENDIX = paths.REPORT.name, "appendix.html"
RUN_FILES = ("metrics.json", "provenance.json", "params.yaml", "tables", "rules", "runs")


def publish(params: config.Params, any_corpus: bool = False) -> None:
    """Replace the published run and page by those of the latest run, and the README's tables.

    Everything is written to a temporary folder first and moved at the end, so a failure leaves
    the published run and the README as they were.

    Args:
        params: The parameters of the latest run.
        any_corpus: Also publish a run that is not on SST-2.

    Raises:
        UserError: If the run is not on checksum-verified SST-2, is unfinished or has another grid,
            if a notebook fails, or if the README lacks a mark.
    """
    provenance = artifacts.read_json(paths.provenance())
    if not provenance["is_sst2"] and not any_corpus:
        raise UserError(
            f"Nothing was published: the latest run is on {wording.corpus_name(provenance)}, and "
            f"the README reports on SST-2. Obtain SST-2 (`assets`) and run `dvc repro`, or allow "
            f"any corpus."
        )
    _require_this_grid(params)
    _replace(params, _gather)


def publish_studies() -> None:
    """Render the published page and the README's tables again, around the published run.

    Raises:
        UserError: If no run is published, if a notebook fails, or if the README lacks a mark.
    """
    if not (paths.PUBLISHED / paths.PARAMS.name).is_file():
        raise UserError(
            f"{paths.PUBLISHED} holds no run that could be kept. Publish one first, without "
            f"keeping a run."
        )
    _replace(config.load(paths.PUBLISHED / paths.PARAMS.name), _keep)


def _replace(params: config.Params, gather: Callable[[config.Params, Path], None]) -> None:
    """Gather a run, render the page around it, and put both in place of what is published."""
    text = readme.read()
    paths.PUBLISHED.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=paths.PUBLISHED.parent, prefix=".publishing-") as folder:
        gathered = Path(folder)
        gather(params, gathered)
        pages = published_pages(params, gathered)
        for name, rendered in pages.items():
            artifacts.write_text(gathered / name, rendered)
        text = readme.with_blocks(text, gathered)
        for item in sorted(gathered.iterdir()):
            target = paths.PUBLISHED / item.name
            if item.is_dir():
                artifacts.replace_folder(item, target)
            else:
                item.replace(target)
        if APPENDIX not in pages:
            (paths.PUBLISHED / APPENDIX).unlink(missing_ok=True)
    write_manifests()
    artifacts.write_text(readme.README, text)


def published_pages(params: config.Params, folder: Path = paths.PUBLISHED) -> dict[str, str]:
    """Return the article and the appendix by file name, and write their figures beside the run.

    Without the studies that the article rests on, or for another corpus, there is one page of all.

    Args:
        params: The parameters of the run.
        folder: Where the run is: `reports/published`, or what is about to replace it.
    """
    run = rendering.Run(
        tables=folder / "tables",
        statistics=folder / "rules" / "statistics",
        provenance=folder / "provenance.json",
        figures=folder / "figures",
    )
    dots, seconds = params.report.figure_dpi, params.report.timeout_seconds
    said = answer.paragraphs(run.tables, artifacts.read_json(run.provenance))
    chapters = rendering.sections(rendering.published_chapters(run, dots), seconds)
    asked = claims.published_claims(run.tables)
    files = (params, run.tables, run.provenance)
    whole = page.build(*files, chapters, asked, is_appendix=bool(said))
    if not said:
        return {ARTICLE: whole}
    chapter = rendering.sections([rendering.article_chapter(run, dots)], seconds)
    return {ARTICLE: page.article(*files, chapter, said), APPENDIX: whole}


def hashed_files() -> list[Path]:
    """Return every file of the published run; studies and benchmark have their own manifests."""
    return checksums.listed_files(paths.MANIFEST, (paths.RESULTS, paths.BENCHMARK))


def write_manifests() -> None:
    """Record the published run and the published studies as they are now."""
    checksums.write_manifest(paths.MANIFEST, hashed_files())
    if paths.RESULTS.is_dir():
        studies = checksums.listed_files(paths.STUDIES_MANIFEST)
        checksums.write_manifest(paths.STUDIES_MANIFEST, studies)


def _keep(_: config.Params, folder: Path) -> None:
    """Copy the files of the published run."""
    for name in RUN_FILES:
        copy = shutil.copytree if (paths.PUBLISHED / name).is_dir() else shutil.copyfile
        copy(paths.PUBLISHED / name, folder / name)


def _gather(params: config.Params, folder: Path) -> None:
    """Copy the files of the latest run."""
    statistics = paths.RULES / "statistics"
    patterns = [paths.rule_table(mode) for mode in params.grid.modes]
    for path in (
        paths.METRICS,
        paths.provenance(),
        paths.PARAMS,
        paths.TABLES,
        statistics,
        *patterns,
    ):
        if not path.exists():
            raise UserError(f"{path} does not exist: the run is unfinished. Run `dvc repro` first.")
    for path in (paths.METRICS, paths.provenance(), paths.PARAMS):
        shutil.copyfile(path, folder / path.name)
    shutil.copytree(paths.TABLES, folder / "tables", copy_function=shutil.copyfile)
    shutil.copytree(statistics, folder / "rules/statistics", copy_function=shutil.copyfile)
    for path in patterns:
        shutil.copyfile(path, folder / "rules" / path.name)
    for mode in params.grid.modes:
        for seed in params.grid.seeds:
            cell = paths.cell(paths.CORE, mode, seed)
            target = folder / "runs" / cell.name
            predictions = read_table(cell / "predictions.parquet", PREDICTION_COLUMNS)
            columns = list(PREDICTION_COLUMNS)
            write_table(target / "predictions.parquet", predictions[columns])
            for name in CELL_FILES:
                if not (cell / name).is_file():
                    raise UserError(
                        f"{cell / name} does not exist: the run is unfinished. Run `dvc repro` first."
                    )
                shutil.copyfile(cell / name, target / name)


def _require_this_grid(params: config.Params) -> None:
    runs = tables.read(paths.TABLES, "runs")
    present = set(zip(runs["mode"], runs["seed"], strict=True))
    expected = {(mode, seed) for mode in params.grid.modes for seed in params.grid.seeds}
    if present != expected:
        odd = ", ".join(f"{mode}-{seed}" for mode, seed in sorted(present ^ expected))
        raise UserError(
            f"{paths.TABLES / 'runs.csv'} does not match `grid`; they differ in {odd}. Run "
            f"`dvc repro`, then publish."
        )


def main() -> None:
    """Publish the latest run."""
    terminal.accept_any_character()
    parser = argparse.ArgumentParser(prog="python -m ggsa.report.publish", description=__doc__)
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--any-corpus", action="store_true", help="also a run that is not on SST-2")
    chosen.add_argument("--keep-run", action="store_true", help="keep the published run")
    arguments = parser.parse_args()
    try:
        with artifacts.disk_errors():
            if arguments.keep_run:
                publish_studies()
            else:
                publish(config.load(), arguments.any_corpus)
    except UserError as error:
        sys.exit(f"\n{error}\n")
    print(f"Published in {paths.PUBLISHED}; {readme.README} holds its tables. Commit both.")


if __name__ == "__main__":
    main()
