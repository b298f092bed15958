"""Where assets come from, in which order sources are tried, and what is refused."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertModel,
    DistilBertConfig,
    DistilBertForMaskedLM,
)

from ggsa import assets
from ggsa.assets import acquisition, corpus, encoder, hub, policy, sentences, tagger, wordpiece
from ggsa.assets.corpora import sst2
from ggsa.assets.corpus import Sentence
from ggsa.assets.policy import Unavailable
from ggsa.model import build
from ggsa.workspace import artifacts, checksums, config
from ggsa.workspace.errors import UserError

ROOT = Path(__file__).parents[2]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "film", "good", "."]
WHOLE = [Sentence((*"abcdefg", str(row), '"'), row % 2) for row in range(40)]


@pytest.fixture(autouse=True)
def no_mirror_of_this_machine(monkeypatch):
    monkeypatch.delenv("GGSA_MIRROR", raising=False)


@pytest.fixture
def parameters(tmp_path):
    """Parameters of the committed file, with changes, and a mirror folder that does not exist."""

    def changed(**blocks):
        content = yaml.safe_load((ROOT / "params.yaml").read_text())
        content["assets"].update(source="mirror", mirror=str(tmp_path / "mirror"))
        for block, values in blocks.items():
            content[block].update(values)
        return config.parse(content)

    return changed


def missing(reason="gone", absent=False):
    def attempt():
        raise Unavailable(reason, absent)

    return attempt


# The order of sources.


def test_auto_asks_hub_mirror_embedded_in_this_order_with_a_warning(parameters, capsys):
    params = parameters(assets={"source": "auto"})
    attempts = {"embedded": lambda: 3, "mirror": missing("no folder"), "hub": missing("no answer")}
    assert policy.first_available("corpus", params, attempts) == ("embedded", 3)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "corpus: not from the Hub (no answer); trying the mirror." in lines[0]
    assert "not from the mirror (no folder); trying the embedded" in lines[1]


def test_the_first_source_that_has_it_is_used_without_a_warning(parameters, capsys):
    params = parameters(assets={"source": "auto"})
    attempts = {"hub": lambda: 1, "mirror": missing()}
    assert policy.first_available("corpus", params, attempts) == ("hub", 1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("required", policy.SOURCES)
def test_a_required_source_is_the_only_one_asked(parameters, required):
    params = parameters(assets={"source": required})
    attempts = {source: (lambda source=source: source) for source in policy.SOURCES}
    assert policy.first_available("corpus", params, attempts) == (required, required)
    with pytest.raises(UserError, match=r"not from .* \(gone\).*assets\.source to auto"):
        policy.first_available("corpus", params, {**attempts, required: missing()})


def test_a_wrong_checksum_ends_the_search_under_auto(parameters):
    params = parameters(assets={"source": "auto"})

    def damaged():
        checksums.verify("it", "md5", "aa", "bb")

    with pytest.raises(UserError, match="expected the md5 aa, got bb"):
        policy.first_available("corpus", params, {"hub": damaged, "mirror": lambda: 2})


# The corpus.


def mirror_of(folder, train=WHOLE, test=WHOLE[:9], validation=WHOLE[10:19]):
    """Write the sst2 folder of a mirror, and return its checksums."""
    files = folder / "sst2"
    files.mkdir(parents=True, exist_ok=True)

    def lines(heading, rows):
        return "\n".join([heading, *rows]) + "\n"

    for name, rows in (("train.tsv", train), ("dev.tsv", validation)):
        body = (f"{' '.join(row.words)} \t{row.label}" for row in rows)
        (files / name).write_text(lines("sentence\tlabel", body))
    unlabeled = (f"{number}\t{' '.join(row.words)}" for number, row in enumerate(test))
    (files / "test.tsv").write_text(lines("index\tsentence", unlabeled))
    labels = (f"{number}\t{row.label}" for number, row in enumerate(test))
    (files / "test_labels.tsv").write_text(lines("index\tlabel", labels))
    hidden = [Sentence(row.words, -1) for row in test]
    splits = {"train": train, "validation": validation, "test": hidden}
    return sst2.Checksums(
        rows={split: corpus.canonical_sha256(rows) for split, rows in splits.items()},
        labeled_test=corpus.canonical_sha256(test),
        files={name: checksums.md5(files / name) for name in sst2.CHECKSUMS.files},
    )


@pytest.fixture
def mirror(tmp_path):
    return tmp_path / "mirror"


@pytest.fixture
def published(mirror, monkeypatch):
    """A mirror with a small corpus, whose checksums take the place of SST-2's."""
    made = mirror_of(mirror)
    monkeypatch.setattr(sst2, "CHECKSUMS", made)
    return made


def test_the_mirror_gives_verified_splits_with_labels_of_the_test(parameters, published):
    params = parameters(corpus={"selection_sentences": 6})
    obtained = sentences.obtain(params)
    assert obtained.splits["train"] == WHOLE
    assert obtained.splits["test"] == WHOLE[:9]
    assert obtained.provenance["rows"] == {
        "train": 40, "validation": 9, "test": 9, "selection": 6, "examples": 3,
    }  # fmt: skip
    assert obtained.substitutes == ()
    assert {label for _, label in obtained.splits["examples"]} == {-1}


def test_the_environment_variable_names_the_mirror(parameters, tmp_path, monkeypatch):
    params = parameters(corpus={"selection_sentences": 6})
    monkeypatch.setattr(sst2, "CHECKSUMS", mirror_of(tmp_path / "elsewhere"))
    with pytest.raises(UserError, match=r"the folder .* does not exist"):
        sentences.obtain(params)
    monkeypatch.setenv("GGSA_MIRROR", str(tmp_path / "elsewhere"))
    assert sentences.obtain(params).provenance["source"] == "mirror"


def test_a_file_with_another_md5_is_refused_with_both_values(parameters, mirror, published):
    path = mirror / "sst2/dev.tsv"
    path.write_text(path.read_text() + "one more\t1\n")
    with pytest.raises(UserError) as error:
        sentences.obtain(parameters())
    assert published.files["dev.tsv"] in str(error.value)
    assert checksums.md5(path) in str(error.value)


def test_the_mirrors_labels_are_verified_and_may_be_absent(parameters, mirror, published, capsys):
    params = parameters(corpus={"selection_sentences": 6})
    path = mirror / "sst2/test_labels.tsv"
    content = path.read_text()
    path.write_text(content.replace("0\t0", "0\t1"))
    with pytest.raises(UserError, match=published.labeled_test):
        sentences.obtain(params)
    path.write_text(content.removesuffix("8\t0\n"))
    with pytest.raises(UserError, match=r"expected 9 labels, .* got 8"):
        sentences.obtain(params)
    path.unlink()
    obtained = sentences.obtain(params)
    assert {label for _, label in obtained.splits["test"]} == {-1}
    assert obtained.substitutes == (sentences.TEST_UNLABELED,)
    assert sentences.TEST_UNLABELED in capsys.readouterr().err


def test_a_limit_keeps_the_first_rows_of_every_split_and_is_no_longer_sst2(parameters, published):
    whole = sentences.obtain(parameters(corpus={"selection_sentences": 10}))
    cut = sentences.obtain(parameters(corpus={"selection_sentences": 10, "limit": 8}))
    for split in ("train", "selection", "validation", "test"):
        assert cut.splits[split] == whole.splits[split][:8]
        assert cut.provenance["sha256"][split] != whole.provenance["sha256"][split]


def test_sst2_is_known_by_its_checksums_alone():
    rows = {**sst2.CHECKSUMS.rows}
    assert sst2.is_sst2(rows)
    assert sst2.is_sst2({**rows, "test": sst2.CHECKSUMS.labeled_test})
    for split in rows:
        assert not sst2.is_sst2({**rows, split: "0" * 64})


def test_the_probe_corpus_is_embedded_and_keeps_its_own_selection(parameters):
    params = parameters(corpus={"name": "probe", "limit": 50})
    obtained = sentences.obtain(params)
    assert obtained.provenance["name"] == "probe"
    assert obtained.provenance["source"] == "embedded"
    assert obtained.substitutes == (), "it was asked for"
    assert not obtained.tables["train"]["leaks_selection"].any()
    assert obtained.tables["train"]["whole_sentence"].all()
    splits = [set(obtained.splits[split]) for split in ("train", "selection", "validation", "test")]
    assert [len(split) for split in splits] == [50] * 4
    assert len(set.union(*splits)) == 200, "no sentence is in two splits"


def test_the_probe_corpus_instead_of_sst2_is_a_substitute(parameters, capsys):
    obtained = sentences.obtain(parameters(assets={"source": "embedded"}))
    assert obtained.provenance["name"] == "probe"
    assert obtained.substitutes[0] in capsys.readouterr().err


# The tagger.


def test_a_damaged_tagger_is_refused(parameters, mirror, tmp_path):
    (mirror / "stanza/en/pos").mkdir(parents=True)
    whole = tmp_path / "whole.pt"
    torch.save({"config": {}, "weights": torch.zeros(5000)}, whole)
    (tmp_path / "tagger").mkdir()
    (mirror / tagger.MIRROR_MODEL).write_bytes(whole.read_bytes()[:9000])
    with pytest.raises(UserError, match="not a complete Stanza model"):
        tagger.obtain(parameters(), tmp_path / "tagger")


def test_the_mirrors_tagger_is_described_for_loading_and_named_a_substitute(
    parameters, mirror, tmp_path, capsys
):
    (mirror / "stanza/en/pos").mkdir(parents=True)
    (tmp_path / "tagger").mkdir()
    torch.save({"config": {}}, mirror / tagger.MIRROR_MODEL)
    provenance, substitutes = tagger.obtain(parameters(), tmp_path / "tagger")
    description = json.loads((tmp_path / "tagger/tagger.json").read_text())
    assert description["file"] == "pos.pt" and description["pipeline"] == {}
    found = hashlib.sha256((tmp_path / "tagger/pos.pt").read_bytes()).hexdigest()
    assert description["sha256"] == provenance["sha256"] == found
    assert (tmp_path / "tagger/resources.json").read_text() == "{}\n"
    assert len(substitutes) == 1 and substitutes[0] in capsys.readouterr().err


@pytest.mark.parametrize(("known", "share"), [(("a", "dull"), 0.5), (("a", "dull", "plot"), None)])
def test_a_substitute_tagger_that_knows_few_words_of_the_corpus_says_so(
    known, share, tmp_path, capsys
):
    artifacts.write_json(tmp_path / "tagger.json", {"file": "pos.pt"})
    units = {"word": {"_unit2id": dict.fromkeys(known, 1), "lower": True}}
    torch.save({"vocab": units}, tmp_path / "pos.pt")
    rows = [["A", "dull", "plot"], ["a", "thin", "plot", "plot"], ["dull"]]
    tables = {"train": pd.DataFrame({"words": rows})}
    said = acquisition._unknown_words(tmp_path, tables)
    assert said == (
        (f"The tagger's training data lack {share:.0%} of the words of the corpus.",)
        if share
        else ()
    )
    assert all(sentence in capsys.readouterr().err for sentence in said)
    (tmp_path / "tagger.json").unlink()
    assert acquisition._unknown_words(tmp_path, tables) == ()


def test_where_the_tags_are_gold_no_tagger_is_named_whatever_tags_the_examples(
    parameters, mirror, tmp_path
):
    (mirror / "stanza/en/pos").mkdir(parents=True)
    found = []
    for weights in ({}, {"other": 1}):
        folder = tmp_path / f"tagger{len(found)}"
        folder.mkdir()
        torch.save({"config": weights}, mirror / tagger.MIRROR_MODEL)
        found.append(tagger.obtain(parameters(tagger={"gold": True}), folder))
        assert (folder / "pos.pt").is_file()
    assert found[0] == found[1] == ({"source": "gold", "name": "the probe grammar's own tags"}, ())


def test_the_mirrors_english_tagger_is_not_used_for_another_language(parameters, mirror, tmp_path):
    mirror.mkdir()
    with pytest.raises(UserError, match="no tagger for the language de"):
        tagger.obtain(parameters(tagger={"language": "de"}), tmp_path)


def test_a_tagger_that_needs_a_transformer_is_refused(parameters, mirror, tmp_path):
    (mirror / "stanza/en/pos").mkdir(parents=True)
    torch.save({"config": {"bert_model": "some/electra"}}, mirror / tagger.MIRROR_MODEL)
    with pytest.raises(UserError, match="some/electra"):
        tagger.obtain(parameters(), tmp_path)


# The encoder.


def checkpoint(folder, pieces=PIECES, distil=False, head=BertForMaskedLM):
    """Write a small checkpoint in today's layout, and return its weights."""
    torch.manual_seed(0)
    if distil:
        settings = DistilBertConfig(vocab_size=len(pieces), n_layers=1, n_heads=2, dim=8)
        settings.hidden_dim = 16
        model = DistilBertForMaskedLM(settings)
    else:
        settings = BertConfig(
            vocab_size=len(pieces), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16,
        )  # fmt: skip
        model = head(settings)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    return load_file(folder / "model.safetensors")


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "encoder"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("distil", [False, True])
def test_a_checkpoint_of_either_kind_can_be_loaded_as_a_classifier(
    parameters, mirror, target, distil
):
    weights = checkpoint(mirror / "tiny", distil=distil)
    params = parameters(encoder={"checkpoint": "someone/tiny", "revision": None})
    provenance, substitutes = encoder.obtain(params, WHOLE, target)
    assert (provenance["source"], provenance["pretrained"]) == ("mirror", True)
    assert provenance["is_paper_checkpoint"] is False
    assert substitutes == ()
    model = AutoModelForSequenceClassification.from_pretrained(target)
    found = model.state_dict()
    shared = [name for name in weights if name in found]
    assert shared
    for name in shared:
        assert torch.equal(found[name], weights[name])
    tokens = AutoTokenizer.from_pretrained(target)(["good", "ab"], is_split_into_words=True)
    assert tokens.tokens() == ["[CLS]", "good", "a", "##b", "[SEP]"]
    assert tokens.word_ids() == [None, 0, 1, 1, None]


@pytest.mark.parametrize(
    ("name", "architecture", "settings"),
    [
        ("bert-base-uncased", BertForMaskedLM, BertConfig),
        ("distilbert-base-uncased", DistilBertForMaskedLM, DistilBertConfig),
    ],
)
def test_the_common_checkpoints_take_one_key(
    parameters, mirror, target, name, architecture, settings, capfd
):
    """Random weights in the architecture of each: the weights themselves are on the Hub alone."""
    model = architecture(settings(vocab_size=len(PIECES)))
    model.save_pretrained(mirror / name)
    (mirror / name / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    params = parameters(encoder={"checkpoint": name, "revision": None})
    provenance, _ = encoder.obtain(params, WHOLE, target)
    assert provenance["checkpoint"] == name
    recipe = params.train.recipes["pretrained"]
    built = build.build(target, recipe, 1, reset_projections=False)
    layers = built.config.num_hidden_layers
    assert layers == {"bert-base-uncased": 12, "distilbert-base-uncased": 6}[name]
    found, weights = built.state_dict(), model.state_dict()
    shared = [key for key in found if key in weights]
    assert len(shared) > 10 * layers
    assert all(torch.equal(found[key], weights[key]) for key in shared)
    assert "MISSING" not in "".join(capfd.readouterr())


def test_weights_with_another_sha256_are_refused_from_every_source(parameters, mirror, target):
    checkpoint(mirror / "tiny")
    right = checksums.sha256(mirror / "tiny/model.safetensors")
    for name in ("someone/tiny", str(mirror / "tiny")):
        for initialization in ("auto", "pretrained"):
            about = {"checkpoint": name, "revision": None, "initialization": initialization}
            with pytest.raises(UserError) as caught:
                encoder.obtain(parameters(encoder={**about, "sha256": "0" * 64}), WHOLE, target)
            assert "0" * 64 in str(caught.value) and right in str(caught.value)
            assert "encoder.checkpoint: model.safetensors" in str(caught.value)
            assert not list(target.iterdir())
    provenance, _ = encoder.obtain(parameters(encoder={**about, "sha256": right}), WHOLE, target)
    assert provenance["sha256"] == right


def test_a_tokenizer_that_truncates_and_pads_is_written_without_either(mirror, target):
    checkpoint(mirror / "tiny")
    wordpiece.write_tokenizer(mirror / "tiny", PIECES, 512, True, "bert")
    path = mirror / "tiny/tokenizer.json"
    plain = Tokenizer.from_file(str(path))
    plain.enable_truncation(4)
    plain.enable_padding(length=9)
    plain.save(str(path))
    encoder.normalize(mirror / "tiny", target, "tiny")
    written = Tokenizer.from_file(str(target / "tokenizer.json"))
    assert (written.truncation, written.padding) == (None, None)
    assert written.encode("good good good good").tokens == ["[CLS]", *4 * ["good"], "[SEP]"]
    assert written.get_vocab() == plain.get_vocab()


def with_old_names(folder, without=()):
    """Rewrite a checkpoint as old ones are: pickled, old names, tied weights and no model type."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    kept = {name: value for name, value in weights.items() if not name.startswith(tuple(without))}
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): value
        for name, value in kept.items()
    }
    embeddings = old["bert.embeddings.word_embeddings.weight"]
    torch.save(
        {**old, "cls.predictions.decoder.weight": embeddings},  # tied: shares its memory
        folder / "pytorch_model.bin",
    )
    content = json.loads((folder / "config.json").read_text())
    del content["model_type"], content["architectures"]
    (folder / "config.json").write_text(json.dumps(content))
    return kept


@pytest.mark.parametrize("without", [(), ("bert.pooler", "cls")])
def test_pickled_weights_get_current_names_and_no_parameter_that_they_lack(mirror, target, without):
    checkpoint(mirror / "old", head=BertForPreTraining)
    weights = with_old_names(mirror / "old", without)
    assert any("pooler" in name for name in weights) is not bool(without)
    encoder.normalize(mirror / "old", target, "old")
    converted = load_file(target / "model.safetensors")
    assert converted.keys() == weights.keys()
    assert all(torch.equal(converted[name], value) for name, value in weights.items())
    assert AutoConfig.from_pretrained(target).model_type == "bert"


def test_safetensors_with_old_names_get_current_ones(mirror, target):
    weights = checkpoint(mirror / "old")
    old = {name.replace("LayerNorm.weight", "LayerNorm.gamma"): v for name, v in weights.items()}
    save_file(old, mirror / "old/model.safetensors", metadata={"format": "pt"})
    encoder.normalize(mirror / "old", target, "old")
    converted = load_file(target / "model.safetensors")
    assert converted.keys() == weights.keys()
    assert all(torch.equal(converted[name], value) for name, value in weights.items())


def test_damaged_weights_are_refused(mirror, target):
    checkpoint(mirror / "tiny")
    path = mirror / "tiny/model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"model\.safetensors of tiny cannot be read"):
        encoder.normalize(mirror / "tiny", target, "tiny")


def test_another_architecture_is_refused(mirror, target):
    checkpoint(mirror / "tiny")
    (mirror / "tiny/config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(UserError, match=r"gpt2.*Choose a BERT or DistilBERT"):
        encoder.normalize(mirror / "tiny", target, "tiny")


def test_a_stand_in_is_used_only_when_it_is_named(parameters, mirror, target):
    checkpoint(mirror / "bert-tiny-imdb")
    params = parameters()
    provenance, substitutes = encoder.obtain(params, WHOLE, target)
    assert provenance["source"] == "from_scratch"
    assert params.encoder.checkpoint in substitutes[0]
    assert not (target / "model.safetensors").exists()
    named = parameters(encoder={"checkpoint": "bert-tiny-imdb", "revision": None})
    assert encoder.find_checkpoint(named).folder == mirror / "bert-tiny-imdb"


def test_a_pretrained_checkpoint_that_is_required_and_absent_is_an_error(
    parameters, mirror, target
):
    mirror.mkdir()
    params = parameters(encoder={"initialization": "pretrained"})
    with pytest.raises(UserError, match="has no prajjwal1/bert-tiny"):
        encoder.obtain(params, WHOLE, target)


def test_a_checkpoint_may_be_a_folder(parameters, tmp_path, target):
    checkpoint(tmp_path / "mine")
    params = parameters(encoder={"checkpoint": str(tmp_path / "mine"), "revision": None})
    provenance, _ = encoder.obtain(params, WHOLE, target)
    assert provenance["source"] == "folder"


@pytest.mark.parametrize("kind", [BertConfig, DistilBertConfig])
def test_a_head_of_another_number_of_classes_is_refused_when_it_is_obtained(
    kind, parameters, tmp_path, target
):
    three = ("bad", "fair", "good")
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    if kind is DistilBertConfig:
        sizes = {"dim": 16, "hidden_dim": 16, "n_heads": 2}
    params = parameters(encoder={"checkpoint": str(tmp_path / "mine"), "revision": None})
    for labels in (2, 3):
        model = AutoModelForSequenceClassification.from_config(
            kind(vocab_size=len(PIECES), num_labels=labels, **sizes)
        )
        model.save_pretrained(tmp_path / "mine")
        (tmp_path / "mine/vocab.txt").write_text("\n".join(PIECES) + "\n")
        if labels == 3:
            encoder.obtain(params, WHOLE, target, three)
            break
        with pytest.raises(UserError, match=r"head of 2 classes, but .* 3 \(bad, fair, good\)"):
            encoder.obtain(params, WHOLE, target, three)
        shutil.rmtree(target)
        target.mkdir()


def test_from_scratch_has_the_architecture_asked_for_and_no_weights(parameters, target):
    params = parameters(
        assets={"source": "embedded"}, encoder={"initialization": "from_scratch", "layers": 3}
    )
    provenance, substitutes = encoder.obtain(params, WHOLE, target)
    assert substitutes == (), "random weights were asked for"
    assert provenance["pretrained"] is False and provenance["vocabulary"].startswith("trained")
    settings = AutoConfig.from_pretrained(target)
    tokenizer = AutoTokenizer.from_pretrained(target)
    assert settings.num_hidden_layers == 3
    assert settings.vocab_size == len(tokenizer) <= params.encoder.vocabulary
    assert settings.pad_token_id == tokenizer.pad_token_id
    assert tokenizer.tokenize("a 7") == ["a", "7"]
    assert not (target / "model.safetensors").exists()


def test_a_vocabulary_of_the_mirror_with_another_md5_is_refused(parameters, mirror, target):
    (mirror / "bert-base-uncased").mkdir(parents=True)
    (mirror / encoder.VOCABULARY).write_text("\n".join(PIECES))
    params = parameters(encoder={"initialization": "from_scratch"})
    with pytest.raises(UserError, match=encoder.VOCABULARY_MD5):
        encoder.obtain(params, WHOLE, target)


# Tokenizers.

TRAINING = """
from ggsa.assets import wordpiece
words = [(f"re{a}{b}ing", f"{b}{a}ed", "é") for a in "abcdefgh" for b in "stuvwxyz"]
print("|".join(wordpiece.train_vocabulary(words * 3, 250)))
"""


def test_a_trained_vocabulary_is_the_same_in_every_process():
    command = [sys.executable, "-c", TRAINING]
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": "", "OMP_NUM_THREADS": "1"}
    made = [
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert made[0] == made[1]
    pieces = made[0].strip().split("|")
    assert pieces[:5] == list(wordpiece.SPECIAL.values())
    assert 100 < len(pieces) == len(set(pieces)) <= 250
    assert "re" in pieces and "e" in pieces, "learnt, lower-cased and without accents"


def test_a_tokenizer_to_which_every_word_is_unknown_is_refused(target):
    checkpoint(target)
    wordpiece.write_tokenizer(target, PIECES, 512, True, "bert")
    path = target / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["vocab"]["GOOD"] = content["model"]["vocab"].pop("good")
    content["model"]["vocab"]["FILM"] = content["model"]["vocab"].pop("film")
    content["model"]["vocab"]["A"] = content["model"]["vocab"].pop("a")
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="tokenizer"):
        wordpiece.require_known_word(target)


def test_a_vocabulary_without_its_special_pieces_is_refused(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\nfilm\n")
    with pytest.raises(UserError, match=r"lacks \[UNK\], \[CLS\]"):
        wordpiece.read_vocabulary(path)


# The Hub's client.


def test_whatever_a_client_library_raises_is_unavailable_and_its_settings_return():
    before = hub.constants.HF_HUB_DOWNLOAD_TIMEOUT
    with pytest.raises(Unavailable, match="OSError: broken pipe"), hub.transfer(3):
        assert hub.constants.HF_HUB_DOWNLOAD_TIMEOUT == 3
        raise OSError("broken pipe\nand more")
    assert before == hub.constants.HF_HUB_DOWNLOAD_TIMEOUT


@pytest.mark.parametrize("digest", ["sha256", "git"])
def test_a_cached_file_must_match_the_digest_that_names_it(tmp_path, digest):
    content = b"content"
    name = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "git": hashlib.sha1(b"blob 7\0content").hexdigest(),
    }[digest]
    path = tmp_path / name
    path.write_bytes(content)
    hub.verify_cached(path)
    path.write_bytes(b"damaged")
    with pytest.raises(UserError, match=name):
        hub.verify_cached(path)


# All three.


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    folder = tmp_path / "workspace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_a_download_that_fails_leaves_what_was_there_and_nothing_else(
    parameters, mirror, published, workspace
):
    (mirror / "stanza/en/pos").mkdir(parents=True)
    torch.save({"config": {}}, mirror / tagger.MIRROR_MODEL)
    params = parameters(corpus={"selection_sentences": 6}, encoder={"vocabulary": 200})
    provenance = assets.download(params)
    assert json.loads((workspace / "data/corpus/provenance.json").read_text()) == provenance
    assert provenance["is_sst2"] is True, "every split has the expected checksum"

    def present():
        files = [path for path in workspace.rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in files}

    before = present()
    (mirror / tagger.MIRROR_MODEL).write_bytes(b"damaged")
    with pytest.raises(UserError):
        assets.download(params)
    assert present() == before
    shutil.copyfile(workspace / "data/tagger/pos.pt", mirror / tagger.MIRROR_MODEL)
    assets.download(params)
    assert present() == before, "the same sources give the same bytes"


@pytest.mark.parametrize("head", [BertForMaskedLM, BertForPreTraining, BertModel])
def test_safetensors_with_current_names_are_copied_byte_for_byte(mirror, target, head):
    checkpoint(mirror / "tiny", head=head)
    path = mirror / "tiny/model.safetensors"
    save_file(load_file(path), path, metadata={"format": "pt", "note": "kept"})
    encoder.normalize(mirror / "tiny", target, "tiny")
    assert (target / "model.safetensors").read_bytes() == path.read_bytes()
