from pathlib import Path

import pytest
import yaml

from ggsa import config
from ggsa.errors import UserError

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"


def content() -> dict:
    return yaml.safe_load(PARAMS.read_text())


def refusal(changed: dict) -> str:
    with pytest.raises(UserError) as caught:
        config.parse(changed)
    return str(caught.value)


def test_the_committed_parameters_are_sound() -> None:
    assert config.load(PARAMS).grid.modes[0] == "full"


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
        "'many'",
        "heads 3",
        "report: is missing",
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
    assert "no rule of the hard table" in refusal(changed)


def test_a_rule_without_an_arrow_is_refused() -> None:
    changed = content()
    changed["rules"]["drop"] = ["ADJ NOUN"]
    assert "write QUERY->KEY" in refusal(changed)


def test_a_repeated_seed_is_refused() -> None:
    changed = content()
    changed["grid"]["seeds"] = [1, 1]
    assert "stands there twice" in refusal(changed)


@pytest.mark.parametrize("text", ["grid: [", "just words"])
def test_a_file_that_is_no_yaml_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"params\.yaml"):
        config.load(path)


def test_every_key_has_a_comment_above_its_block_or_itself() -> None:
    lines = PARAMS.read_text().splitlines()
    for number, line in enumerate(lines):
        if line and not line.startswith((" ", "#")):
            assert lines[number - 1].startswith("#"), f"{line} has no comment above"
