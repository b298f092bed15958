"""What data/corpus/provenance.json says of the assets: the corpus, its classes, the encoder."""

from collections.abc import Mapping
from typing import Any

from ggsa.workspace import artifacts, paths

SENTIMENT = ("negative", "positive")
"""Classes of SST-2, IMDB and the probe corpus, in the order of their labels."""


def read_provenance() -> dict[str, Any]:
    """Return the provenance of the assets in this workspace.

    Raises:
        UserError: If the download stage has not written it.
    """
    return artifacts.read_json(paths.provenance())


def class_names(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the classes in the order of their labels."""
    return tuple(provenance["corpus"].get("classes", SENTIMENT))


def encoder_name(provenance: Mapping[str, Any]) -> str:
    """Return the name of the trained encoder in tables and metrics."""
    about = provenance["encoder"]
    return about["checkpoint"] if about["pretrained"] else "from scratch"


def corpus_name(provenance: Mapping[str, Any]) -> str:
    """Return the name of the corpus; a changed SST-2 is never called plain `sst2`."""
    name = provenance["corpus"]["name"]
    if name == "files":
        return f"files: {provenance['corpus']['files']['train']['name']}"
    return f"{name} (changed)" if name == "sst2" and not provenance["is_sst2"] else name
