"""Tags by the nodes of a Ray cluster: the stage `tag` under `make study NAME=... CLUSTER=auto`.

Each actor holds Stanza's pipeline in a process of its own, as a worker on one machine does, and tags
whole chunks. The chunks do not depend on the actors, and rounding may flip a tag between two kinds of
machines, so only nodes of the kind of this machine tag: the tags are those of a local run. If a node
dies, Ray starts its actors on another and they tag its chunks again.
"""

import io
import sys
import tarfile
import tempfile
from collections.abc import Generator, Iterable, Mapping
from functools import partial
from importlib.metadata import version
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
        code = ray.put(pack([Path("src")]))
        nodes = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
        nodes = {name: node for name, node in nodes.items() if node["Resources"].get("CPU")}
        able = _like_this_machine(_kinds(ray, code, nodes))
        if others := [nodes[name]["NodeManagerAddress"] for name in nodes.keys() - able]:
            print(
                f"Nodes of another kind than this machine do not tag, because rounding could change "
                f"a tag: {', '.join(sorted(others))}.",
                file=sys.stderr,
            )
        if not able:
            raise UserError(
                "No node of the cluster is of the kind of this machine, so none may tag: rounding "
                "could change a tag. Run `make repro` or the study once without CLUSTER, which tags "
                "here; or offer CPUs of this machine with `ray start --num-cpus=N`."
            )
        actor_on = ray.remote(_Tagger).options(
            num_cpus=CPUS,
            max_restarts=-1,
            max_task_retries=-1,
            scheduling_strategy="SPREAD",
            label_selector=_only(able),
        )
        model, size = ray.put(pack([paths.TAGGER])), options.batch_size
        folder = paths.TAGGER.as_posix()
        cpus = int(sum(nodes[name]["Resources"]["CPU"] for name in able))
        actors = [actor_on.remote(code, model, folder, size) for _ in range(max(1, cpus))]
        free = AHEAD * actors
        running: dict[Any, tuple[Chunk, Any]] = {}
        for chunk in chunks:
            if not free:
                yield from _finished(ray, running, free)
            actor = free.pop()
            running[actor.tag.remote(chunk)] = chunk, actor
        while running:
            yield from _finished(ray, running, free)


def _kinds(ray: Any, code: Any, nodes: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the kind of machine of each node, by Ray's identifier of the node.

    Raises:
        UserError: If a node lacks a package.
    """
    ask = ray.remote(max_calls=1)(_kind)  # its process ends with the folder that it imported from
    asked = {
        name: ask.options(num_cpus=CPUS, label_selector=_only([name])).remote(code)
        for name in nodes
    }
    try:
        return {name: ray.get(answer) for name, answer in asked.items()}
    except ray.exceptions.RayError as error:
        raise _unable(error) from error


def _only(nodes: Iterable[str]) -> dict[str, str]:
    """Return Ray's label selector of some nodes."""
    return {"ray.io/node-id": f"in({','.join(sorted(nodes))})"}


def _like_this_machine(kinds: Mapping[str, dict[str, Any]]) -> set[str]:
    """Return the nodes whose kind is that of this machine."""
    here = _kind()
    return {name for name, kind in kinds.items() if kind == here}


def _kind(code: bytes = b"") -> dict[str, Any]:
    """Return what decides the last bits of a tag; on a node, with the project's code as archive."""
    with tempfile.TemporaryDirectory(prefix="ggsa-tag-") as folder:
        if code:
            _unpack(code, folder)
        import torch

        from ggsa.workspace.machine import machine

        kind = machine(torch.device("cpu")) | {"stanza": version("stanza")}
    del kind["threads"]  # an actor has one, wherever it is
    return kind


def _unpack(archive: bytes, folder: str) -> None:
    """Unpack files in a folder, from whose folder src packages are then imported."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    source = str(Path(folder, "src"))
    if source not in sys.path:
        sys.path.insert(0, source)


def _unable(error: Exception) -> UserError:
    """Return the error for a node that cannot tag."""
    return UserError(
        f"A node of the cluster could not tag. Install requirements.lock in the environment that "
        f"starts Ray there, or leave CLUSTER out; sentences that are tagged are kept. Ray "
        f"says:\n  {error}"
    )


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
        raise _unable(error) from error


class _Tagger:
    """On a node: Stanza's pipeline, and the folder with code and model."""

    def __init__(self, code: bytes, model: bytes, folder: str, batch_size: int):
        self._folder = tempfile.TemporaryDirectory(prefix="ggsa-tag-")
        for archive in (code, model):
            _unpack(archive, self._folder.name)
        import torch

        from ggsa.tagging import tagger

        torch.set_num_threads(1)
        self._tag = tagger.tag_sentences
        self._pipeline = tagger.load_tagger(Path(self._folder.name, folder), batch_size)

    def tag(self, chunk: Chunk) -> Tags:
        """Return the tags of every sentence of a chunk."""
        return self._tag(self._pipeline, chunk)
