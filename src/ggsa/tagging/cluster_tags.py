"""Tags by the nodes of a Ray cluster: the stage `tag` under `make study NAME=... CLUSTER=auto`.

Each actor holds Stanza's pipeline in a process of its own, as a worker on one machine does, and tags
whole chunks. The chunks do not depend on the actors, so the tags are those of a local run on the same
kind of machine. If a node dies, Ray starts its actors on another and they tag its chunks again.
"""

import io
import sys
import tarfile
import tempfile
from collections.abc import Generator, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from ggsa.tagging.tagger import AHEAD, Chunk, Pool, Tags
from ggsa.workspace import paths
from ggsa.workspace.config import Tagger
from ggsa.workspace.errors import UserError
from ggsa.workspace.ray_cluster import joined, pack

CPUS = 0.5
"""Of an actor. If actors took all CPUs of the cluster, whatever waits for one would wait forever."""


def pool(address: str, options: Tagger) -> Pool:
    """Return `tag_chunks` by a cluster; see `ggsa.workspace.ray_cluster.joined` for the address."""
    return partial(_tag_chunks, address=address, options=options)


def _tag_chunks(
    chunks: Iterable[Chunk], address: str, options: Tagger
) -> Generator[tuple[Chunk, Tags], None, None]:
    """Yield every chunk with its tags as soon as it is tagged.

    Raises:
        UserError: If the cluster cannot be joined, or a node cannot load the tagger.
    """
    with joined(address) as ray:
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
        content = ray.put(pack([Path("src"), paths.TAGGER]))
        kind = ray.remote(_Tagger).options(
            num_cpus=CPUS, max_restarts=-1, max_task_retries=-1, scheduling_strategy="SPREAD"
        )
        folder, size = paths.TAGGER.as_posix(), options.batch_size
        count = max(1, int(ray.cluster_resources().get("CPU", 1)))
        actors = [kind.remote(content, folder, size) for _ in range(count)]
        free = AHEAD * actors
        running: dict[Any, tuple[Chunk, Any]] = {}
        for chunk in chunks:
            if not free:
                yield from _finished(ray, running, free)
            actor = free.pop()
            running[actor.tag.remote(chunk)] = chunk, actor
        while running:
            yield from _finished(ray, running, free)


def _finished(
    ray: Any, running: dict[Any, tuple[Chunk, Any]], free: list[Any]
) -> Generator[tuple[Chunk, Tags], None, None]:
    """Wait for a chunk; yield it, and give its actor back."""
    (reference,), _ = ray.wait(list(running), num_returns=1)
    chunk, actor = running.pop(reference)
    free.append(actor)
    try:
        yield chunk, ray.get(reference)
    except ray.exceptions.RayError as error:
        raise UserError(
            f"A node of the cluster could not tag. Install requirements.lock in the environment that "
            f"starts Ray there, or leave CLUSTER out; sentences that are tagged are kept. Ray "
            f"says:\n  {error}"
        ) from error


class _Tagger:
    """On a node: Stanza's pipeline, and the folder with code and model."""

    def __init__(self, content: bytes, folder: str, batch_size: int):
        self._folder = tempfile.TemporaryDirectory(prefix="ggsa-tag-")
        with tarfile.open(fileobj=io.BytesIO(content)) as files:
            files.extractall(self._folder.name, filter="data")
        sys.path.insert(0, str(Path(self._folder.name, "src")))
        import torch

        from ggsa.tagging import tagger

        torch.set_num_threads(1)
        self._tag = tagger.tag_sentences
        self._pipeline = tagger.load_tagger(Path(self._folder.name, folder), batch_size)

    def tag(self, chunk: Chunk) -> Tags:
        """Return the tags of every sentence of a chunk."""
        return self._tag(self._pipeline, chunk)
