"""The origin of corpus, tagger and encoder, as data/corpus/provenance.json records it."""

from collections.abc import Mapping
from typing import Any

from ggsa.workspace import artifacts, paths

SENTIMENT = ("negative", "positive")
"""Classes of SST-2, IMDB and the probe corpus, in label order."""


def read_provenance() -> dict[str, Any]:
    """Return the content of provenance.json.

    Raises:
        UserError: If the file does not exist or is not JSON.
    """
    return artifacts.read_json(paths.provenance())


def is_replication(provenance: Mapping[str, Any]) -> bool:
    """Return whether a run is on the paper's corpus, so that its report is about the paper.

    The report of any other run neither names the paper nor shows its numbers.
    """
    return provenance["is_sst2"]


def class_names(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the classes in label order."""
    return tuple(provenance["corpus"].get("classes", SENTIMENT))


def encoder_name(provenance: Mapping[str, Any]) -> str:
    """Return the pretrained checkpoint that training starts from, or `from scratch`."""
    encoder = provenance["encoder"]
    return encoder["checkpoint"] if encoder["pretrained"] else "from scratch"


def corpus_name(provenance: Mapping[str, Any]) -> str:
    """Return the name of the corpus; an SST-2 with other rows is `sst2 (changed)`."""
    name = provenance["corpus"]["name"]
    if name == "files":
        return f"files: {provenance['corpus']['files']['train']['name']}"
    return f"{name} (changed)" if name == "sst2" and not provenance["is_sst2"] else name
