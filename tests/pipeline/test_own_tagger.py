"""A tagger of another language and another tag set, from its treebank to universal tags.

The language is the probe's with the words of a sentence in reverse order, every word spelled
backwards and every tag renamed; only punctuation stays.
"""

from pathlib import Path

import numpy as np
import pytest
import yaml

from ggsa.assets import probe
from ggsa.assets import tagger as tagger_asset
from ggsa.assets.probe import treebank
from ggsa.tagging import tagger
from ggsa.workspace import config
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import UNIVERSAL_TAGS

pytestmark = pytest.mark.pipeline
ROOT = Path(__file__).resolve().parents[2]
OWN = {tag: f"{tag[::-1].lower()}.1" for tag in UNIVERSAL_TAGS if tag != "PUNCT"}


def in_the_language(conllu: str) -> str:
    """A treebank of the probe grammar, in the other language."""
    sentences = []
    for block in conllu.strip().split("\n\n"):
        rows = [line.split("\t") for line in block.splitlines() if not line.startswith("#")]
        lines = []
        for place, (_, word, lemma, tag, *rest) in enumerate(reversed(rows), start=1):
            fields = [str(place), word[::-1], lemma, OWN.get(tag, tag), *rest]
            fields[6:8] = ("0", "root") if place == 1 else ("1", "dep")
            lines.append("\t".join(fields))
        sentences.append("\n".join(lines) + "\n\n")
    return "".join(sentences)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tagger of the language, as the download stage leaves it."""
    root = tmp_path_factory.mktemp("root")
    texts = {split: in_the_language(text) for split, text in treebank.treebank(5).items()}
    options = treebank.OPTIONS | {"lang": "qaa", "shorthand": "qaa_own", "max_steps": 100}
    (root / "corpora").mkdir()
    treebank.trained_on(texts, root / "corpora/own.pt", 5, options)
    target = root / "tagger"
    target.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        provenance, substitutes = tagger_asset.obtain(params(package="corpora/own.pt"), target)
    assert provenance["source"] == "file" and provenance["name"] == "the user's own own.pt"
    assert substitutes == ()
    return target


def params(**changed: object) -> config.Params:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["tagger"] |= {"language": "qaa", **changed}
    content["assets"] |= {"source": "embedded"}
    return config.parse(content)


@pytest.fixture(scope="module")
def tagged(folder: Path) -> tuple[list[list[str]], list[list[str]]]:
    """Tags of sentences that were not trained on: the grammar's, and the tagger's own."""
    rows = probe.generate(9)["validation"][:80]
    words = [tuple(word[::-1] for word in reversed(row.words)) for row in rows]
    found = tagger.tag_sentences(tagger.load_tagger(folder, 100), words)
    return [list(reversed(row.tags)) for row in rows], found


def test_the_tags_of_another_set_are_mapped_to_universal_ones(tagged: tuple) -> None:
    expected, found = tagged
    assert {tag for row in found for tag in row} - {"PUNCT"} <= set(OWN.values())
    mapping = {own: tag for tag, own in OWN.items()}
    tags = tagger.universal({"validation": found}, mapping)["validation"]
    right = [a == b for one, other in zip(expected, tags, strict=True) for a, b in zip(one, other, strict=True)]  # fmt: skip
    assert np.mean(right) > 0.9


def test_a_tag_missing_from_the_mapping_raises_an_error_with_its_count_and_the_key(
    tagged: tuple,
) -> None:
    _, found = tagged
    mapping = {own: tag for tag, own in OWN.items() if tag != "DET"}
    count = sum(row.count(OWN["DET"]) for row in found)
    with pytest.raises(UserError) as caught:
        tagger.universal({"validation": found}, mapping)
    message = str(caught.value)
    assert f"{OWN['DET']} ({count:,} words)" in message
    assert "tagger.mapping" in message and f"{OWN['DET']}: NOUN" in message


def test_the_embedded_tagger_is_unavailable_in_another_language(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has the language en only, and tagger\.language is qaa"):
        tagger_asset.obtain(params(), tmp_path)
