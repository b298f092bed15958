"""Tag every word of the corpus with Stanza; sentences that were tagged before are not tagged again."""

import os

from ggsa.tagging import tagger
from ggsa.workspace import paths
from stages import base_params, run


def main() -> None:
    """Tag every split of the corpus, here or on a cluster."""
    params, pool = base_params(__doc__), None
    if address := os.environ.get(paths.CLUSTER):
        from ggsa.training import cluster_tags  # imports what trains

        pool = cluster_tags.pool(address, params.tagger)
    tagger.tag_corpus(params, pool)


if __name__ == "__main__":
    run(main)
