"""Tag every word of the corpus with Stanza; sentences that were tagged before are not tagged again."""

import os

from ggsa.tagging import cluster_tags, tagger
from ggsa.workspace import paths
from stages import base_params, run


def main() -> None:
    """Tag every split of the corpus, here or on a cluster."""
    params, address = base_params(__doc__), os.environ.get(paths.CLUSTER)
    tagger.tag_corpus(params, cluster_tags.pool(address, params.tagger) if address else None)


if __name__ == "__main__":
    run(main)
