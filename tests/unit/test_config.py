from pathlib import Path
from types import UnionType
from typing import Literal, Union, get_args, get_origin

import pytest
import yaml
from dvc.utils.serialize import loads_yaml

from ggsa.assets import corpora
from ggsa.patterns import modes
from ggsa.workspace import config
from ggsa.workspace.errors import UserError

KNOWN = {"mode": modes.names(), "corpus": corpora.names()}
PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"


def content() -> dict:
    return yaml.safe_load(PARAMS.read_text())


def refusal(changed: dict) -> str:
    with pytest.raises(UserError) as caught:
        config.parse(changed, known=KNOWN)
    return str(caught.value)


def test_the_committed_parameters_are_sound() -> None:
    assert config.load(PARAMS, known=KNOWN).grid.modes[0] == "full"


def test_every_problem_is_reported_at_once_with_key_and_value() -> None:
    changed = content()
    changed["trian"] = {}
    changed["grid"]["modes"] = ["full", "hrad"]
    changed["train"]["max_pieces"] = "many"
    changed["encoder"]["heads"] = 3
    del changed["report"]
    message = refusal(changed)
    assert "5 problems" in message
    for part in (
        "trian",
        "Did you mean train?",
        "grid.modes[1]",
        "hrad",
        "Did you mean hard?",
        'train.max_pieces: expected an integer >= 3, got "many".',
        "heads 3",
        "report: missing key",
    ):
        assert part in message


def test_a_rule_with_an_unknown_tag_names_the_tag_that_was_meant() -> None:
    changed = content()
    changed["rules"]["add"] = ["ADJ->ADJECTIVE"]
    message = refusal(changed)
    assert "ADJ->ADJECTIVE" in message
    assert "Did you mean ADJ?" in message


def test_dropping_what_is_no_rule_is_refused() -> None:
    changed = content()
    changed["rules"]["drop"] = ["NOUN->VERB"]
    assert "NOUN->VERB is not a rule of the hard table" in refusal(changed)


def test_a_rule_without_an_arrow_is_refused() -> None:
    changed = content()
    changed["rules"]["drop"] = ["ADJ NOUN"]
    assert "write QUERY->KEY" in refusal(changed)


def test_a_repeated_seed_is_refused() -> None:
    changed = content()
    changed["grid"]["seeds"] = [1, 1]
    assert "appears twice" in refusal(changed)


def test_a_list_of_one_wrong_item_is_one_problem() -> None:
    changed = content()
    changed["grid"] = {"modes": ["hrad"], "seeds": ["many"]}
    message = refusal(changed)
    assert "2 problems" in message
    assert "grid.modes[0]: unknown mode hrad. Did you mean hard?" in message
    assert "grid.seeds[0]" in message
    changed["grid"] = {"modes": [], "seeds": [1]}
    assert "grid.modes: expected a list with 1 or more entries, got []." in refusal(changed)


@pytest.mark.parametrize("text", ["grid: [", "just words"])
def test_a_file_that_is_no_yaml_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"params\.yaml"):
        config.load(path, known=KNOWN)


def test_every_key_has_a_comment_above_its_block_or_itself() -> None:
    lines = PARAMS.read_text().splitlines()
    for number, line in enumerate(lines):
        if line and not line.startswith((" ", "#")):
            assert lines[number - 1].startswith("#"), f"{line} has no comment above"


PROTOCOL_KEYS = {
    "keep_projections": "encoder",
    "checkpoint": "train",
    "select_on": "train",
    "use_leaking_rows": "train",
    "recipe": "train",
    "evaluate_every": "train",
}
"""The block of params.yaml that each key of a protocol sets."""
ALONE = {
    "encoder.keep_projections": {"described": False, "released": True},
    "train.checkpoint": {"described": "best", "released": "last"},
    "train.select_on": {"described": "validation", "released": "selection"},
    "train.use_leaking_rows": {"described": True, "released": False},
    "train.recipe": {"described": "pretrained", "released": "auto"},
    "train.evaluate_every": {"described": 7, "released": 7},
}
"""A value of each key that is not the one of the protocol."""


def of_protocols() -> list[tuple[str, str]]:
    return [(protocol, key) for protocol in content()["protocols"] for key in PROTOCOL_KEYS]


def value(params: config.Params, key: str) -> object:
    block, name = key.split(".")
    return getattr(getattr(params, block), name)


def keys_of_several_types() -> list[str]:
    """Every key of params.yaml whose value may be a word or something else."""
    keys = []
    for block, field in config.Params.model_fields.items():
        for key, inner in getattr(field.annotation, "model_fields", {}).items():
            if get_origin(inner.annotation) in (Union, UnionType) and any(
                get_origin(kind) is Literal for kind in get_args(inner.annotation)
            ):
                keys.append(f"{block}.{key}")
    return keys


def test_the_released_protocol_has_the_defects_of_the_code_and_the_described_has_none() -> None:
    described, released = (
        config.load(PARAMS, {"protocol": protocol}, known=KNOWN)
        for protocol in ("described", "released")
    )
    assert (described.encoder.keep_projections, released.encoder.keep_projections) == (True, False)
    assert (described.train.select_on, released.train.select_on) == ("selection", "validation")
    assert (described.train.use_leaking_rows, released.train.use_leaking_rows) == (False, True)
    assert (described.train.recipe, released.train.recipe) == ("auto", "released")
    recipes = released.train.recipes
    assert recipes[released.train.recipe].attention_dropout == 0.1
    for recipe in {*recipes} - {"released"}:
        assert recipes[recipe].attention_dropout == 0.0


def test_the_committed_protocol_is_the_described_one() -> None:
    assert config.load(PARAMS, known=KNOWN) == config.load(
        PARAMS, {"protocol": "described"}, known=KNOWN
    )


@pytest.mark.parametrize(("protocol", "key"), of_protocols())
def test_a_protocol_sets_every_key_that_is_left_to_it(protocol: str, key: str) -> None:
    params = config.load(PARAMS, {"protocol": protocol}, known=KNOWN)
    assert value(params, f"{PROTOCOL_KEYS[key]}.{key}") == content()["protocols"][protocol][key]


@pytest.mark.parametrize("protocol", ["described", "released"])
@pytest.mark.parametrize("key", ALONE)
def test_a_key_that_is_set_alone_wins_over_the_protocol_and_changes_nothing_else(
    protocol: str, key: str
) -> None:
    before = config.load(PARAMS, {"protocol": protocol}, known=KNOWN)
    after = config.load(PARAMS, {"protocol": protocol, key: ALONE[key][protocol]}, known=KNOWN)
    assert value(after, key) == ALONE[key][protocol] != value(before, key)
    for other in ALONE:
        if other != key:
            assert value(after, other) == value(before, other)


def test_every_key_of_a_protocol_is_tested_here() -> None:
    assert {*PROTOCOL_KEYS} == {*config.Protocol.model_fields}
    assert {*ALONE} == {f"{block}.{key}" for key, block in PROTOCOL_KEYS.items()}


def test_a_protocol_of_ones_own_is_known_by_its_name() -> None:
    changed = content()
    changed["protocols"]["mine"] = {**changed["protocols"]["released"], "recipe": "pretrained"}
    changed["protocol"] = "mine"
    params = config.parse(changed, known=KNOWN)
    assert (params.train.recipe, params.train.select_on) == ("pretrained", "validation")


def test_an_unknown_protocol_gives_one_problem_with_the_one_that_was_meant() -> None:
    message = refusal(content() | {"protocol": "releazed"})
    assert message.splitlines()[0] == "params.yaml has one problem; nothing was run."
    assert message.splitlines()[1:] == [
        "  protocol: unknown protocol releazed. Did you mean released? "
        "Expected one of: described, released."
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"grid: [full, hard\n", ", line 2, column 1: not valid YAML"),
        (b"grid:\n\tmodes: [full]\n", ", line 2, column 1: not valid YAML"),
        (b"grid: fil\xe9\n", " is not UTF-8 text: byte 9 is 0xe9."),
        (b"\x00\x01", ": not valid YAML"),
        (None, " cannot be read"),
    ],
)
def test_a_file_that_is_not_yaml_is_refused_in_one_line_with_the_place(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "params.yaml"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        config.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}{said}"), message
    assert "\n" not in message and message.endswith(".")


def test_a_protocol_whose_recipe_is_absent_is_refused() -> None:
    changed = content()
    changed["protocols"]["released"]["recipe"] = "releazed"
    assert (
        config.parse(changed, known=KNOWN).protocol == "described"
    )  # only the active protocol is checked
    changed["protocol"] = "released"
    assert "recipe releazed needs releazed under train.recipes" in refusal(changed)


def test_the_word_protocol_means_nothing_to_a_key_that_no_protocol_sets() -> None:
    assert (
        config.load(PARAMS, {"encoder.checkpoint": "protocol"}, known=KNOWN).encoder.checkpoint
        == "protocol"
    )
    with pytest.raises(UserError, match=r'"auto", "float32" or "bfloat16", got "protocol"'):
        config.load(PARAMS, {"train.precision": "protocol"}, known=KNOWN)


@pytest.mark.parametrize("wrong", ["nonsense", -1, 0.5, None, {}, [1]], ids=repr)
@pytest.mark.parametrize("key", keys_of_several_types())
def test_a_value_that_may_be_of_several_types_is_refused_in_one_line(
    key: str, wrong: object
) -> None:
    with pytest.raises(UserError) as caught:
        config.load(PARAMS, {key: wrong}, known=KNOWN)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2, lines
    assert lines[1].startswith(f"  {key}: ")
    automatic = ("train.threads", "tagger.workers", "corpus.selection_sentences")
    word = "auto" if key in automatic else "protocol"
    assert word in lines[1]
    assert lines[1].endswith(".") and not lines[1].endswith("..")


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("train.threads", "two", 'expected an integer >= 1 or "auto", got "two".'),
        ("encoder.keep_projections", 1, 'expected true, false or "protocol", got 1.'),
        ("corpus.limit", 3, "expected an integer >= 8 or null, got 3."),
        ("corpus.files.held_out", 0.9, "expected a number > 0 and < 0.5, got 0.9."),
        ("train.recipes.probe.dropout", None, "expected a number >= 0 and < 1, got null."),
        ("rules.hard.ADJ", "NOUN", 'expected a list, got "NOUN".'),
        ("grid.seeds", {}, "expected a list with 1 or more entries, got {}."),
        ("grid", 3, "expected a mapping, got 3."),
        ("protocols.described.recipe", True, "expected text, got true."),
        ("assets.source", "hbu", 'expected "auto", "hub", "mirror" or "embedded", got "hbu".'),
        ("train.theads", 2, "unknown key theads. Did you mean threads? Expected one of: recipe,"),
    ],
)
def test_a_wrong_value_is_reported_with_its_key_and_what_was_expected(
    key: str, value: object, problem: str
) -> None:
    with pytest.raises(UserError) as caught:
        config.load(PARAMS, {key: value}, known=KNOWN)
    assert f"\n  {key}: {problem}" in str(caught.value)


def test_keys_of_several_types_are_found() -> None:
    assert {"encoder.keep_projections", "train.evaluate_every", "train.threads"} <= set(
        keys_of_several_types()
    )


def test_several_wrong_keys_of_several_types_have_a_line_each() -> None:
    wrong = {key: "nonsense" for key in keys_of_several_types()}
    with pytest.raises(UserError) as caught:
        config.load(PARAMS, wrong, known=KNOWN)
    lines = str(caught.value).splitlines()[1:]
    assert sorted(line.split(":")[0].strip() for line in lines) == sorted(wrong)


def test_an_override_leaves_the_file_and_every_other_key_as_they_were() -> None:
    before = PARAMS.read_bytes()
    changed = config.load(PARAMS, {"rules.corpus.density": 0.5}, known=KNOWN).model_dump()
    changed["rules"]["corpus"]["density"] = config.load(PARAMS, known=KNOWN).rules.corpus.density
    assert changed == config.load(PARAMS, known=KNOWN).model_dump()
    assert PARAMS.read_bytes() == before


@pytest.mark.parametrize(
    ("key", "above"),
    [("protocol.select_on", "protocol"), ("rules.hard.ADJ.NOUN", "rules.hard.ADJ")],
)
def test_an_override_beneath_a_value_is_refused_by_its_key(key: str, above: str) -> None:
    with pytest.raises(UserError, match=f"{key}: expected {above} to hold keys, got"):
        config.load(PARAMS, {key: True}, known=KNOWN)


def test_no_message_ends_in_two_full_stops() -> None:
    changed = content()
    changed["rules"]["add"] = ["ADJ->ADJECTIVE"]
    changed["rules"]["hard"] = {"NUON": ["ADJ"]}
    changed["grid"]["seeds"] = [1, 1]
    for line in refusal(changed).splitlines():
        assert line.endswith(".") and not line.endswith(".."), line


@pytest.mark.parametrize(
    ("text", "value"),
    [("2e-5", 2e-5), ("yes", "yes"), ("1:30", "1:30"), ("010", 10), ("2.0e-5", 2e-5)],
)
def test_yaml_is_read_as_dvc_reads_it(text: str, value: object) -> None:
    assert config.parse_yaml(f"a: {text}", "here") == {"a": value} == loads_yaml(f"a: {text}")


@pytest.mark.parametrize("text", ["a: [1", "b: 0\na: 1\na: 2", "a: b: c", "a: !!python/name:os 1"])
def test_what_is_not_yaml_is_refused_with_its_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(
        UserError, match=rf"{path}, line \d, column \d+: not valid YAML \(\w"
    ) as caught:
        config.load(path)
    assert "\n" not in str(caught.value)
