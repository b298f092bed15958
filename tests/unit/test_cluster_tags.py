"""Which nodes of a cluster tag."""

from ggsa.tagging import cluster_tags


def test_only_nodes_of_the_kind_of_this_machine_tag() -> None:
    here = cluster_tags._kind()
    assert "threads" not in here and here["torch"] and here["stanza"]
    others = {key: here | {key: "another"} for key in ("cpu_model", "torch", "stanza")}
    kinds = {"first": here, "second": dict(here), **others}
    assert cluster_tags._like_this_machine(kinds) == {"first", "second"}
