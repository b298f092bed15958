"""The classes that a corpus has, by name, in the order of their numbers.

The download stage writes them into provenance.json where they are not those of SST-2. Training,
evaluation and the report read them here.
"""

from collections.abc import Mapping
from typing import Any

from ggsa.workspace import artifacts, paths

SENTIMENT = ("negative", "positive")
"""Those of SST-2, of IMDB and of the probe corpus."""


def names_in(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the classes of a corpus from what provenance.json says."""
    return tuple(provenance["corpus"].get("classes", SENTIMENT))


def names() -> tuple[str, ...]:
    """Return the classes of the corpus in this workspace."""
    return names_in(artifacts.read_json(paths.provenance()))
