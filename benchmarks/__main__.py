"""`make bench`: every benchmark that a CPU can run, one after the other."""

import sys
import time
from collections.abc import Iterator
from typing import Any

from benchmarks import attention, attention_memory, layer, step, tagging, texts, timing
from ggsa.patterns.modes import PatternData, pattern_for
from ggsa.workspace import artifacts, checksums, config, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.progress import track
from ggsa.workspace.tables import write_table


def main() -> None:
    """Run everything, print the table and keep it."""
    try:
        rows, seconds = _run()
    except UserError as error:
        sys.exit(f"\n{error}\n")
    table = timing.table(rows)
    write_table(paths.BENCHMARK / "results.csv", table)
    artifacts.write_json(
        paths.BENCHMARK / "machine.json",
        timing.machine()
        | {
            "corpus": artifacts.read_json(paths.provenance())["corpus"]["name"],
            "seconds": seconds,
        },
    )
    manifest = paths.BENCHMARK / paths.MANIFEST.name
    checksums.write_manifest(manifest, checksums.listed_files(manifest))
    timing.show(table)
    print(f"{len(table)} lines in {seconds / 60:.1f} minutes: {paths.BENCHMARK / 'results.csv'}")


def _run() -> tuple[list[dict[str, Any]], float]:
    started = time.monotonic()
    params = config.load()
    source = texts.sentences(params)
    modes, data = ("full", "hard", "soft", "window"), PatternData(params)
    named = {mode: pattern_for(mode, params.rules, 0, data) for mode in modes}
    hard = named["hard"]
    tagged = next(tagging.run(params))
    parts: dict[str, Iterator[list[dict[str, Any]]]] = {
        "attention": attention.run(source, hard, named["window"]),
        "layer": layer.run(source, hard),
        "step": step.run(params, named, tagged[0]["value_ours"]),
        "memory": attention_memory.run(source, hard),
    }
    rows = list(tagged)
    for name, lines in parts.items():
        for found in track(lines, None, name, "case"):
            rows += found
    return rows, time.monotonic() - started


if __name__ == "__main__":
    main()
