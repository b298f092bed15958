"""The download stage: obtains corpus, tagger and encoder. Only this stage uses the network.

All files are collected in a temporary folder beside their destination and moved there when the
three assets are complete, so that a failed or killed download leaves the earlier files.
"""

import errno
import shutil
import tempfile
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from ggsa.assets import corpus, encoder, policy, sentences, tagger
from ggsa.assets.corpora import sst2
from ggsa.assets.tagger_words import tagger_words
from ggsa.workspace import artifacts, paths
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.provenance import class_names

PREFIX = ".download-"
MANY = 0.25
"""From this share of unknown words on, a substitute tagger is said to know too few. On SST-2, Stanza's
tagger of the treebank EWT does not know 15 %, each word counted as often as it occurs."""
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


def download(params: Params) -> dict[str, Any]:
    """Write `data/corpus/`, `data/tagger/` and `data/encoder/`, and return their provenance.

    Args:
        params: Names the assets and the allowed sources.

    Raises:
        UserError: If an asset is unavailable, does not match its checksum, or cannot be written.
    """
    base = paths.CORPUS.parent
    try:
        base.mkdir(parents=True, exist_ok=True)
        for leftover in base.glob(f"{PREFIX}*"):  # of a killed run
            shutil.rmtree(leftover)
        with tempfile.TemporaryDirectory(dir=base, prefix=PREFIX) as name:
            targets = (paths.CORPUS, paths.TAGGER, paths.ENCODER)
            folders = {target: Path(name) / target.name for target in targets}
            for folder in folders.values():
                folder.mkdir()
            provenance = _obtain(params, folders)
            _place(folders)
    except OSError as error:
        if error.errno not in DISK:
            raise
        raise UserError(
            f"{error.filename or base} could not be written ({error.strerror}). The earlier files "
            f"are unchanged. Free some space or fix the folder's permissions, then run again."
        ) from error
    return provenance


def _obtain(params: Params, folders: Mapping[Path, Path]) -> dict[str, Any]:
    """Fill the temporary folders, and return the content of provenance.json."""
    obtained = sentences.obtain(params)
    corpus.write(folders[paths.CORPUS], obtained.tables)
    tagger_provenance, tagger_substitutes = tagger.obtain(params, folders[paths.TAGGER])
    if tagger_substitutes:
        tagger_substitutes += _unknown_words(folders[paths.TAGGER], obtained.tables)
    encoder_provenance, encoder_substitutes = encoder.obtain(
        params,
        obtained.splits["train"],
        folders[paths.ENCODER],
        class_names({"corpus": obtained.provenance}),
    )
    provenance = {
        "is_sst2": sst2.is_sst2(obtained.provenance["sha256"]),
        "corpus": obtained.provenance,
        "tagger": tagger_provenance,
        "encoder": encoder_provenance,
        "substitutes": [*obtained.substitutes, *tagger_substitutes, *encoder_substitutes],
    }
    artifacts.write_json(folders[paths.CORPUS] / paths.provenance().name, provenance)
    return provenance


def _unknown_words(folder: Path, tables: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    """Return in a sentence how many words of a corpus a tagger never saw, if they are many."""
    known = tagger_words(folder)
    if known is None:
        return ()
    share = known.unknown_share(chain.from_iterable(table["words"] for table in tables.values()))
    if share < MANY:
        return ()
    sentence = f"The tagger's training data lack {share:.0%} of the words of the corpus."
    policy.notice(sentence)
    return (sentence,)


def _place(folders: Mapping[Path, Path]) -> None:
    """Move the complete folders to their destinations, replacing what was there."""
    for target, folder in folders.items():
        if target.exists():
            target.rename(folder.with_name(f"{folder.name}.before"))
        folder.rename(target)
