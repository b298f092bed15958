"""What is published, against the hashes that were recorded when it was written.

The published run is recorded in `reports/published/SHA256SUMS`, which `make publish` writes; what a
study published, in its own `studies/<name>/dvc.lock`, cell by cell as the cells finished.
"""

import hashlib
import json
from pathlib import Path

import yaml

from ggsa.report import publish
from ggsa.report.verification import findings, rederived
from ggsa.report.verification.findings import Check, Difference
from ggsa.training import studies
from ggsa.workspace import paths

UNRECORDED = ("seconds.csv",)  # how long cells took where they were trained: no result


def check_manifest() -> Check:
    """Return the comparison of the published run with reports/published/SHA256SUMS."""
    name = "files of the published run by SHA-256"
    return _check_hashes(name, paths.MANIFEST, publish.hashed_files(), "make publish")


def check_benchmark() -> list[Check]:
    """Return the comparison of the benchmark with its own SHA256SUMS; none where none is published.

    Times cannot be re-derived.
    """
    if not paths.BENCHMARK.is_dir():
        return []
    name, manifest = "files of the benchmark by SHA-256", paths.BENCHMARK / paths.MANIFEST.name
    return [_check_hashes(name, manifest, publish.benchmark_files(), "make bench")]


def _check_hashes(name: str, source: Path, files: list[Path], command: str) -> Check:
    """Return the comparison of files with a list of their hashes, which a command writes."""
    present = {str(path): path for path in files}
    if not source.is_file():
        wrong = Difference(str(source), f"is missing; `{command}` writes it")
        return Check(name, 0, len(present), (wrong,))
    recorded, differences = {}, []
    for line in source.read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, file = line.partition("  ")
        if file:
            recorded[str(source.parent / file)] = digest
        else:
            differences.append(Difference(str(source), f"has a line that is no hash: {line}"))
    for file, digest in recorded.items():
        if file not in present:
            differences.append(findings.missing(file, source))
        elif (now := publish.sha256(present[file])) != digest:
            differences.append(findings.altered(file, source, digest, now))
    differences += [findings.extra(file, source) for file in present if file not in recorded]
    return findings.check(name, {**recorded, **present}, differences)


def check_studies() -> list[Check]:
    """Return one check per study that published something: its files against its dvc.lock."""
    locked = {path.parent.name for path in paths.STUDIES.glob("*/dvc.lock")}
    published = {path.name for path in paths.RESULTS.glob("*") if path.is_dir()}
    checks = (check_study(name) for name in sorted(locked | published))
    return [check for check in checks if check.total]


def check_study(name: str) -> Check:
    """Return the comparison of what a study published with what its dvc.lock records.

    The lock entry of a cell also holds the plan that it was trained under, so that a plan which
    was changed afterwards is found. Tables of answers need no entry: they are computed again.
    """
    lock = paths.STUDIES / name / "dvc.lock"
    outs, plans = recorded_files(name)
    differences, covered = [], {*outs, *plans, *map(str, rederived.answer_tables())}
    for file, digest in outs.items():
        path = Path(file)
        if not path.exists():
            differences.append(findings.missing(file, lock))
        elif (now := folder_md5(path) if path.is_dir() else md5(path)) != digest:
            differences.append(findings.altered(file, lock, digest, now))
            differences += _odd_plans(name, path)
        covered |= {str(inside) for inside in path.rglob("*")}
    for file, (digest, stage) in plans.items():
        source = f"{lock} ({stage})"
        if not Path(file).is_file():
            differences.append(findings.missing(file, source))
        elif (now := md5(Path(file))) != digest:
            differences.append(findings.altered(file, source, digest, now))
    present = sorted(path for path in (paths.RESULTS / name).rglob("*") if path.is_file())
    odd = [p for p in present if str(p) not in covered and p.name not in UNRECORDED]
    differences += [findings.extra(path, lock) for path in odd]
    return findings.check(f"files of {name} by its dvc.lock", [*outs, *plans, *odd], differences)


def recorded_files(study: str) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """Return what a study's dvc.lock records of its published files; nothing without a lock.

    Returns:
        The MD5 of each output by its path (`.dir` at the end for a folder), and the MD5 of each
        plan that a cell depends on, with the stage that does.
    """
    lock = paths.STUDIES / study / "dvc.lock"
    content = yaml.safe_load(lock.read_text(encoding="utf-8")) if lock.is_file() else {}
    inside = f"{paths.RESULTS.as_posix()}/{study}/"
    outs, plans = {}, {}
    for stage, entry in content.get("stages", {}).items():
        for out in entry.get("outs", []):
            if out["path"].startswith(inside):
                outs[out["path"]] = out["md5"]
        for dependency in entry.get("deps", []):
            path = dependency["path"]
            if path.startswith(inside) and Path(path).parent.name == "plan":
                plans[path] = (dependency["md5"], stage)
    return outs, plans


def md5(path: Path) -> str:
    """Return the MD5 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def folder_md5(folder: Path) -> str:
    """Return the MD5 of a folder as DVC 3 computes it: that of the JSON list of its files."""
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    entries = [{"md5": md5(files[name]), "relpath": name} for name in sorted(files)]
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


def _odd_plans(study: str, folder: Path) -> list[Difference]:
    """Return which plans are too many or too few in a folder of plans, by the study's grid."""
    source = paths.STUDIES / study / "params.yaml"
    if folder.name != "plan" or not source.is_file():
        return []
    cells = studies.load(study).cells(folder.parent.name)
    expected = {"density.csv", *(f"{arm}-{seed}.json" for arm, seed in cells)}
    present = {path.name for path in folder.iterdir()}
    return [
        *(findings.missing(folder / name, source) for name in sorted(expected - present)),
        *(findings.extra(folder / name, source) for name in sorted(present - expected)),
    ]
