"""Copy the latest run to `reports/published/` and write its table into the README.

Place in the data flow: `python -m ggsa.report.publish`, called by `make publish`; nothing else
writes `reports/published/`. It holds no text of the corpus: predictions carry
identifiers. `SHA256SUMS` lists its files as `sha256sum` does, for `make verify`; the files of the
studies have a list of their own, which `make study` writes.
"""

import argparse
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from ggsa.report import page, readme_claims, tables, wording
from ggsa.workspace import artifacts, config, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import PREDICTION_COLUMNS, read_table, write_table

README = Path("README.md")
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
STUDY = "core"


def publish(params: config.Params, any_corpus: bool = False) -> None:
    """Replace the published run by the latest one and the README's table by its table.

    Everything is gathered first and swapped in at the end, so that a failure leaves the published
    run as it was.

    Args:
        params: Those of the latest run.
        any_corpus: Also publish a run that is not on SST-2.

    Raises:
        UserError: If the run is not on checksum-verified SST-2, is unfinished or is of another
            grid, or if the README lacks the two marks.
    """
    provenance = artifacts.read_json(paths.provenance())
    if not provenance["is_sst2"] and not any_corpus:
        raise UserError(
            f"Nothing was published: the latest run is on {wording.corpus_name(provenance)}, and "
            f"the README speaks of SST-2. Obtain it (assets in params.yaml) and run `dvc repro`, "
            f"or publish it all the same with --any-corpus."
        )
    _require_this_grid(params)
    readme = _readme()
    paths.PUBLISHED.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=paths.PUBLISHED.parent, prefix=".publishing-") as folder:
        gathered = Path(folder)
        _gather(params, gathered)
        block = readme_block(tables.read(gathered / "tables", "results"), provenance)
        new_readme = with_block(readme, block)
        for item in sorted(gathered.iterdir()):
            target = paths.PUBLISHED / item.name
            if target.is_dir():
                shutil.rmtree(target)
            item.replace(target)
    write_manifest(paths.MANIFEST, hashed_files())
    artifacts.write_text(README, readme_claims.with_block(new_readme))


def hashed_files() -> list[Path]:
    """Return every file of the published run: all but manifests, studies and benchmark."""
    elsewhere = (paths.RESULTS, paths.BENCHMARK)
    return sorted(
        path
        for path in paths.PUBLISHED.rglob("*")
        if path.is_file()
        and path != paths.MANIFEST
        and not any(folder in path.parents for folder in elsewhere)
    )


def benchmark_files() -> list[Path]:
    """Return every file of the benchmark but its manifest."""
    files = paths.BENCHMARK.glob("*")
    return sorted(path for path in files if path.name != paths.MANIFEST.name)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def study_files() -> list[Path]:
    """Return every file that studies published: plans, cells, tables and what they took."""
    return sorted(
        path
        for path in paths.RESULTS.rglob("*")
        if path.is_file() and path != paths.STUDIES_MANIFEST
    )


def write_manifest(manifest: Path, files: Iterable[Path]) -> None:
    """Write a file of hashes, one line per file; `sha256sum -c` in its folder reads it.

    Lines are sorted by name, which is relative to the manifest's folder.
    """
    names = {path.relative_to(manifest.parent).as_posix(): path for path in files}
    lines = [f"{sha256(names[name])}  {name}\n" for name in sorted(names)]
    artifacts.write_text(manifest, "".join(lines))


def readme_block(results: pd.DataFrame, provenance: dict) -> str:
    """Return what stands between the README's marks: the published table, and on which data."""
    density = results[results["split"] == "validation"]["density"]
    rows = pd.DataFrame(
        [
            {
                "mode": row["mode"],
                "paper (95% interval)": f"{row['paper']} ({row['paper_interval']})",
                "ours (mean ± SD)": row["ours"],
                "difference (points)": row["difference"],
                "95% interval, one further seed": row["interval"],
                "theoretical attention work": wording.percent(share),
                "verdict": row["verdict"],
            }
            for row, share in zip(page.verdict_rows(results), density, strict=True)
        ]
    )
    first = results[results["split"] == "validation"].iloc[0]
    about = (
        f"Accuracy on {wording.count(first['n'])} validation sentences of "
        f"{wording.corpus_name(provenance)}, {wording.seeds(int(first['seeds']))}; "
        f"{wording.encoder_name(provenance)}. {wording.descriptive(int(first['seeds']))}"
    ).strip()
    warning = (
        ""
        if provenance["is_sst2"]
        else f"**{wording.alarm(provenance)}.** {wording.banner(provenance)[0]}\n\n"
    )
    table = rows.to_markdown(index=False, disable_numparse=True)
    return f"{warning}{table}\n\n{about}"


def with_block(readme: str, block: str) -> str:
    """Return the README with what stands between the marks replaced."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{block}\n\n{END}{after}"


def block_of(readme: str) -> str:
    """Return what stands between the marks of a README, without the blank lines around it."""
    return readme.partition(BEGIN)[2].partition(END)[0].strip()


def main() -> None:
    """Publish the latest run."""
    parser = argparse.ArgumentParser(
        prog="python -m ggsa.report.publish",
        description="Copy the latest run to reports/published and write the README's table.",
    )
    parser.add_argument(
        "--any-corpus",
        action="store_true",
        help="also a run that is not on checksum-verified SST-2",
    )
    arguments = parser.parse_args()
    try:
        publish(config.load(), arguments.any_corpus)
    except UserError as error:
        sys.exit(f"\n{error}\n")
    print(f"Published in {paths.PUBLISHED}; {README} holds its table. Commit both.")


def _gather(params: config.Params, folder: Path) -> None:
    """Put everything that is published into a folder."""
    single = (paths.REPORT, paths.METRICS, paths.provenance(), paths.PARAMS)
    rules = [paths.rule_table(mode) for mode in params.grid.modes]
    for path in (*single, *rules):
        if not path.is_file():
            raise UserError(f"{path} does not exist: the run is unfinished. Run `dvc repro` first.")
    for path in single:
        shutil.copyfile(path, folder / path.name)
    for source in (paths.TABLES, paths.FIGURES):
        if not source.is_dir():
            raise UserError(f"{source} does not exist: the run is unfinished. Run `dvc repro`.")
        shutil.copytree(source, folder / source.name, copy_function=shutil.copyfile)
    (folder / "rules").mkdir()
    for path in rules:
        shutil.copyfile(path, folder / "rules" / path.name)
    for mode in params.grid.modes:
        for seed in params.grid.seeds:
            cell = paths.cell(STUDY, mode, seed)
            predictions = read_table(cell / "predictions.parquet", PREDICTION_COLUMNS)
            write_table(
                folder / "runs" / f"{cell.name}.parquet",
                predictions[list(PREDICTION_COLUMNS)],
            )


def _require_this_grid(params: config.Params) -> None:
    runs = tables.read(paths.TABLES, "runs")
    found = set(zip(runs["mode"], runs["seed"], strict=True))
    wanted = {(mode, seed) for mode in params.grid.modes for seed in params.grid.seeds}
    if found != wanted:
        odd = ", ".join(f"{mode}-{seed}" for mode, seed in sorted(found ^ wanted))
        raise UserError(
            f"{paths.TABLES / 'runs.csv'} is not of the grid in params.yaml; they differ in {odd}. "
            f"Run `dvc repro`, then publish."
        )


def _readme() -> str:
    text = README.read_text(encoding="utf-8") if README.is_file() else ""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise UserError(
            f"{README} must hold the marks {BEGIN} and {END} once each, in this order; the result "
            f"table is written between them. Nothing was published."
        )
    return text


if __name__ == "__main__":
    main()
