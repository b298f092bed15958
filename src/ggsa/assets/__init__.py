"""Obtains the three assets: corpus, tagger and encoder.

The first stage of the pipeline, and the only one that ever needs a network. Everything is gathered
in a temporary folder beside its destination and moved there when all three are complete, so that a
failed or killed download leaves what was there before.
"""

import errno
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ggsa.assets import corpus, encoder, sentences, tagger
from ggsa.workspace import artifacts, paths
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError

GATHERING = ".download-"
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


def download(params: Params, checksums: corpus.Checksums = corpus.SST2) -> dict[str, Any]:
    """Write `data/corpus/`, `data/tagger/` and `data/encoder/`, and return their provenance.

    Args:
        params: Name the assets and the sources that may be asked.
        checksums: By which the corpus is recognized.

    Raises:
        UserError: If an asset cannot be had, does not match its checksum, or cannot be written.
    """
    base = paths.CORPUS.parent
    try:
        base.mkdir(parents=True, exist_ok=True)
        for left_by_a_killed_run in base.glob(f"{GATHERING}*"):
            shutil.rmtree(left_by_a_killed_run)
        with tempfile.TemporaryDirectory(dir=base, prefix=GATHERING) as name:
            gathered = {target: Path(name) / target.name for target in _targets()}
            for folder in gathered.values():
                folder.mkdir()
            provenance = _gather(params, checksums, gathered)
            _place(gathered)
    except OSError as error:
        if error.errno not in DISK:
            raise
        raise UserError(
            f"{error.filename or base} could not be written ({error.strerror}). Nothing was left "
            f"half-written. Free some space or mend the folder's permissions, then run again."
        ) from error
    return provenance


def _targets() -> tuple[Path, ...]:
    return paths.CORPUS, paths.TAGGER, paths.ENCODER


def _gather(
    params: Params, checksums: corpus.Checksums, folders: Mapping[Path, Path]
) -> dict[str, Any]:
    """Fill the temporary folders, and return what provenance.json says."""
    obtained = sentences.obtain(params, checksums)
    corpus.write(folders[paths.CORPUS], obtained.tables)
    tagger_provenance, tagger_substitutes = tagger.obtain(params, folders[paths.TAGGER])
    encoder_provenance, encoder_substitutes = encoder.obtain(
        params, obtained.splits["train"], folders[paths.ENCODER]
    )
    provenance = {
        "is_sst2": is_sst2(obtained.provenance["sha256"]),
        "corpus": obtained.provenance,
        "tagger": tagger_provenance,
        "encoder": encoder_provenance,
        "substitutes": [*obtained.substitutes, *tagger_substitutes, *encoder_substitutes],
    }
    artifacts.write_json(folders[paths.CORPUS] / paths.provenance().name, provenance)
    return provenance


def is_sst2(sha256: Mapping[str, str]) -> bool:
    """Return whether the splits are SST-2, whole, by their canonical sha256.

    A corpus that was cut by `corpus.limit` is not; one whose test split has no labels is.
    """
    return (
        sha256["train"] == corpus.SST2.rows["train"]
        and sha256["validation"] == corpus.SST2.rows["validation"]
        and sha256["test"] in (corpus.SST2.rows["test"], corpus.SST2.labeled_test)
    )


def _place(gathered: Mapping[Path, Path]) -> None:
    """Move the complete folders to their destinations, in the place of what was there."""
    for target, folder in gathered.items():
        if target.exists():
            target.rename(folder.with_name(f"{folder.name}.before"))
        folder.rename(target)
