"""Published files against the manifests that were written with them.

`make publish` writes the manifest of the run and that of all studies, `make bench` that of the
benchmark. An archived study has its own manifest as well, which nothing writes again. A file that no
manifest lists is a difference too.
"""

import hashlib
from pathlib import Path

from ggsa.cli.verification.rederived import Check, Difference, check, extra, missing
from ggsa.report import publish
from ggsa.workspace import checksums, paths

BENCHMARK_MANIFEST = paths.BENCHMARK / paths.MANIFEST.name


def check_manifests() -> list[Check]:
    """Return one check per manifest whose folder has files."""
    checks = [
        check_manifest("published run", paths.MANIFEST, publish.hashed_files(), "make publish")
    ]
    folders = [("benchmark", BENCHMARK_MANIFEST, "make bench")]
    folders += [("studies", paths.STUDIES_MANIFEST, "make publish")]
    for manifest in sorted(paths.RESULTS.glob(f"*/{paths.MANIFEST.name}")):
        folders.append((f"archived study {manifest.parent.name}", manifest, "git restore"))
    for name, manifest, command in folders:
        files = checksums.listed_files(manifest)
        if files:
            checks.append(check_manifest(name, manifest, files, command))
    return checks


def check_manifest(name: str, manifest: Path, files: list[Path], command: str) -> Check:
    """Return the comparison of files with the manifest that a command writes."""
    name = f"files of the {name} by SHA-256"
    present = {str(path): path for path in files}
    if not manifest.is_file():
        wrong = Difference(str(manifest), f"is missing; `{command}` writes it")
        return Check(name, 0, len(present), (wrong,))
    recorded, differences = {}, []
    for line in manifest.read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, file = line.partition("  ")
        if file:
            recorded[str(manifest.parent / file)] = digest
        else:
            differences.append(Difference(str(manifest), f"has a malformed line: {line}"))
    for file, digest in recorded.items():
        if file not in present:
            differences.append(missing(file, manifest))
        elif (now := checksums.sha256(present[file])) != digest:
            text = f"differs from {manifest}: recorded {digest}, got {now}"
            if _with_unix_line_endings(present[file]) == digest:
                text = "has Windows line endings (CRLF): delete it, then `git restore` it"
            differences.append(Difference(file, text))
    differences += [extra(file, manifest) for file in present if file not in recorded]
    return check(name, {**recorded, **present}, differences)


def _with_unix_line_endings(path: Path) -> str:
    """Return the SHA-256 that a file would have with LF in place of CRLF."""
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()
