"""The Hub path of the download, through the real client libraries, against a local stand-in.

Every case runs in a process of its own, because the client libraries read the Hub's address when
they are imported. The sentences are generated here; SST-2 itself is served only from a mirror,
where one is found, and never kept.
"""

import hashlib
import io
import json
import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import stanza
import torch
import yaml
from hub_server import COMMIT, StandIn, running
from safetensors.torch import load_file, save
from stanza.models import tagger as stanza_tagger
from stanza.models.common.pretrain import Pretrain
from transformers import BertConfig, BertForMaskedLM, DistilBertConfig, DistilBertForMaskedLM

from ggsa.assets import corpus
from ggsa.assets.corpora import sst2
from ggsa.assets.corpus import Sentence
from ggsa.workspace import checksums

ROOT = Path(__file__).parents[2]
MIRROR = Path(os.environ.get("GGSA_MIRROR") or ROOT / "../shared/mirror")
CORPUS, LABELS, ENCODER = "stand-in/sentences", "stand-in/labels", "stand-in/encoder"
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz.,'\""]
PIECES += [f"##{piece}" for piece in PIECES[5:]] + ["film", "good", "sentimental"]

DRIVER = """
import json, os, shutil, sys, traceback
import datasets
from ggsa.assets import acquisition
from ggsa.assets.corpora import imdb, sst2
from ggsa.workspace import config
from ggsa.workspace.errors import UserError

def download():
    checksums = json.load(open("checksums.json"))
    if checksums:
        sst2.CHECKSUMS = sst2.Checksums(**checksums)
    try:
        acquisition.download(config.load())
    except UserError as error:
        print(f"UserError: {error}", file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 2
    return 0

for folder in sys.stdin:  # the imports take seconds, so each order runs in a fork of this process
    child = os.fork()
    if child == 0:
        os.chdir(folder.strip())
        sys.stderr.flush()
        os.dup2(os.open("stderr.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        if "HF_HUB_OFFLINE" not in os.environ:
            shutil.rmtree(os.environ["HF_HOME"], ignore_errors=True)
        code = download()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


# What the stand-in serves.


def sentences(seed, count, length):
    stream = random.Random(seed)
    words = ["film", "good", "bad", "the", "a", "acting", '"', "n't", "is", ",", "plot", "dull"]
    return [
        Sentence((*stream.choices(words, k=length), f"w{seed}x{row}"), row % 2)
        for row in range(count)
    ]


@pytest.fixture(scope="session")
def rows():
    """Sixty whole sentences and phrases of them, and two evaluation splits."""
    whole = sentences(1, 60, 11)
    phrases = [Sentence(row.words[:4], row.label) for row in whole]
    return {
        "train": whole + phrases,
        "validation": sentences(2, 20, 9),
        "test": sentences(3, 20, 9),
    }


def hidden(test):
    return [Sentence(row.words, -1) for row in test]


def checksums_of(rows):
    splits = {**rows, "test": hidden(rows["test"])}
    return {
        "rows": {split: corpus.canonical_sha256(part) for split, part in splits.items()},
        "labeled_test": corpus.canonical_sha256(rows["test"]),
    }


def parquet(table):
    buffer = io.BytesIO()
    pd.DataFrame(table).to_parquet(buffer, index=False)
    return buffer.getvalue()


def corpus_repositories(rows):
    """Return both data set repositories; the labeled copy has another order."""
    files = {}
    for split, part in {**rows, "test": hidden(rows["test"])}.items():
        files[f"data/{split}-00000-of-00001.parquet"] = parquet(
            {
                "idx": range(len(part)),
                "sentence": [" ".join(row.words) + " " for row in part],
                "label": [row.label for row in part],
            }
        )
    labeled = [
        json.dumps({"text": " ".join(row.words), "label": row.label})
        for row in reversed(rows["test"])
    ]
    return {CORPUS: files, LABELS: {"test.jsonl": "\n".join(labeled).encode()}}


def pickled(weights):
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    return buffer.getvalue()


def bert():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(PIECES),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=128,
    )
    return BertForMaskedLM(config)


@pytest.fixture(scope="session")
def encoder_files():
    """A checkpoint as old ones are: no model type, no fast tokenizer, pickled, old names."""
    model = bert()
    old = {}
    for name, value in model.state_dict().items():
        if "LayerNorm" in name:
            name = name.replace(".weight", ".gamma").replace(".bias", ".beta")
        old[name] = value
    config = model.config.to_diff_dict()
    for key in ("model_type", "architectures"):
        config.pop(key, None)
    return {
        "config.json": json.dumps({**config, "vocab_size": len(PIECES)}).encode(),
        "vocab.txt": "\n".join(PIECES).encode() + b"\n",
        "pytorch_model.bin": pickled(old),
    }


@pytest.fixture(scope="session")
def tagger_files(tmp_path_factory):
    """A tiny tagger, trained by Stanza itself for a moment, with word vectors of its own."""
    folder = tmp_path_factory.mktemp("tagger")
    sentence = [("the", "DET"), ("film", "NOUN"), ("is", "AUX"), ("good", "ADJ"), (".", "PUNCT")]
    lines = [
        f"{number}\t{word}\t_\t{tag}\t_\t_\t{number - 1}\tdep\t_\t_"
        for number, (word, tag) in enumerate(sentence, start=1)
    ]
    treebank = folder / "treebank.conllu"
    treebank.write_text(("\n".join(lines) + "\n\n") * 20)
    vectors = folder / "vectors.txt"
    vectors.write_text("".join(f"{word} {'0.5 ' * 8}\n" for word, _ in sentence))
    Pretrain(str(folder / "pretrain.pt"), str(vectors)).load()
    options = {
        "train_file": treebank, "eval_file": treebank, "lang": "en", "shorthand": "en_x",
        "save_dir": folder, "save_name": "pos.pt", "wordvec_pretrain_file": folder / "pretrain.pt",
        "max_steps": 4, "eval_interval": 2, "hidden_dim": 8, "char_hidden_dim": 8,
        "deep_biaff_hidden_dim": 8, "word_emb_dim": 8, "char_emb_dim": 8, "transformed_dim": 8,
    }  # fmt: skip
    flags = [part for key, value in options.items() for part in (f"--{key}", str(value))]
    stanza_tagger.main(["--mode", "train", "--cpu", *flags])
    return {name: (folder / name).read_bytes() for name in ("pos.pt", "pretrain.pt")}


@pytest.fixture(scope="session")
def server():
    with running(StandIn()) as stand_in:
        yield stand_in


@pytest.fixture
def host(server, rows, encoder_files, tagger_files):
    """The stand-in with all it should have: data sets, checkpoint, Stanza's list and models."""
    version = stanza.__resources_version__
    pos, pretrain = tagger_files["pos.pt"], tagger_files["pretrain.pt"]
    resources = {
        "url": "https://huggingface.co/stand-in/stanza-{lang}/resolve/v{resources_version}"
        "/models/{filename}",
        "en": {
            "lang_name": "English",
            "packages": {"default_fast": {"pos": "tiny_nocharlm"}},
            "pos": {
                "tiny_nocharlm": {
                    "md5": hashlib.md5(pos).hexdigest(),
                    "dependencies": [{"model": "pretrain", "package": "vectors"}],
                }
            },
            "pretrain": {"vectors": {"md5": hashlib.md5(pretrain).hexdigest()}},
        },
    }
    good = StandIn(
        models={
            ENCODER: dict(encoder_files),
            "stand-in/stanza-en": {
                "models/pos/tiny_nocharlm.pt": pos,
                "models/pretrain/vectors.pt": pretrain,
            },
        },
        datasets=corpus_repositories(rows),
        plain={f"stanza/resources_{version}.json": json.dumps(resources).encode()},
        revisions={f"v{version}"},
        url=server.url,
    )
    vars(server).update(vars(good))
    return server


# Running the download.


class Client:
    """A process that has the client libraries loaded for one address of the Hub."""

    def __init__(self, url, cache, **environment):
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "GGSA_"))}
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER],
            env={
                **inherited,
                "PYTHONPATH": str(ROOT / "src"),
                "HF_ENDPOINT": url,
                "HF_HOME": str(cache),
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "STANZA_RESOURCES_URL": f"{url}/stanza",
                "NO_PROXY": "127.0.0.1",
                "OMP_NUM_THREADS": "1",
                **environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def download(self, folder):
        """Return the exit status and what was printed."""
        self.process.stdin.write(f"{folder}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline()), (folder / "stderr.txt").read_text()

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("hub") / "cache"


@pytest.fixture(scope="session")
def client(server, cache):
    made = Client(server.url, cache)
    yield made
    made.close()


class Workspace:
    """A folder with a params.yaml of its own, in which the download runs."""

    def __init__(self, folder, client, published):
        self.folder = folder
        self.client = client
        self.data = folder / "data"
        self.params = yaml.safe_load((ROOT / "params.yaml").read_text())
        self.set(
            "corpus", repository=CORPUS, revision=COMMIT, test_labels_repository=LABELS,
            selection_sentences=10,
        )  # fmt: skip
        self.set("encoder", checkpoint=ENCODER, revision=COMMIT, initialization="pretrained")
        self.set("assets", source="hub", mirror="no-mirror")
        (folder / "checksums.json").write_text(json.dumps(published))

    def set(self, block, **values):
        self.params[block].update(values)

    def download(self):
        (self.folder / "params.yaml").write_text(yaml.safe_dump(self.params))
        return self.client.download(self.folder)

    def succeed(self):
        """Run the download, which must end well, and return what it printed."""
        status, printed = self.download()
        assert status == 0, printed
        return printed

    def refuse(self):
        """Run the download, which must end with a UserError and no traceback; return its text."""
        status, printed = self.download()
        assert status == 1, printed
        return printed.partition("UserError: ")[2]

    def refuse_at(self, url, **environment):
        """Do the same with the Hub at another address."""
        saved, self.client = self.client, Client(url, self.folder / "cache", **environment)
        try:
            return self.refuse()
        finally:
            self.client.close()
            self.client = saved

    def provenance(self):
        return json.loads((self.data / "corpus/provenance.json").read_text())


@pytest.fixture
def workspace(tmp_path, host, client, rows):
    return Workspace(tmp_path, client, checksums_of(rows))


# Everything there.


def test_the_three_assets_come_from_the_hub_and_can_be_loaded(workspace, rows, encoder_files):
    workspace.succeed()
    provenance = workspace.provenance()
    assert [provenance[asset]["source"] for asset in ("corpus", "tagger", "encoder")] == ["hub"] * 3
    assert provenance["substitutes"] == []
    assert provenance["is_sst2"] is True, "every split has the expected checksum"
    assert provenance["corpus"]["revision"] == COMMIT
    assert provenance["encoder"]["is_paper_checkpoint"] is False

    test = pd.read_parquet(workspace.data / "corpus/test.parquet")
    assert corpus.rows_of(test) == rows["test"], "the labels follow the words, not the order"
    assert len(pd.read_parquet(workspace.data / "corpus/selection.parquet")) == 10

    from ggsa.tagging import tagger

    pipeline = tagger.load_tagger(workspace.data / "tagger", 10)
    assert len(tagger.tag_sentences(pipeline, [("the", "film", "is", "n't", "good")])[0]) == 5
    description = json.loads((workspace.data / "tagger/tagger.json").read_text())
    assert description["pipeline"] == {"pos_pretrain_path": "pretrain.pt"}
    assert description["sha256"] == checksums.sha256(workspace.data / "tagger/pos.pt")

    from transformers import AutoModelForMaskedLM, AutoTokenizer

    folder = workspace.data / "encoder"
    loaded, info = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]
    inputs = AutoTokenizer.from_pretrained(folder)(["good", "film"], is_split_into_words=True)
    assert inputs.tokens() == ["[CLS]", "good", "film", "[SEP]"]
    tensors = {key: torch.tensor([value]) for key, value in inputs.items()}
    with torch.no_grad():
        torch.testing.assert_close(loaded.eval()(**tensors).logits, bert().eval()(**tensors).logits)


def test_reviews_come_from_the_hub_at_their_revision_and_are_split_into_words(workspace, host):
    texts = [f"Film {row} isn't bad.<br />Really!" for row in range(24)]
    table = {"text": texts, "label": [row % 2 for row in range(24)]}
    host.datasets["stand-in/reviews"] = {
        f"plain_text/{split}-00000-of-00001.parquet": parquet(table) for split in ("train", "test")
    }
    workspace.set(
        "corpus", name="imdb", reviews_repository="stand-in/reviews", reviews_revision=COMMIT,
        validation_reviews=4,
    )  # fmt: skip
    workspace.succeed()
    provenance = workspace.provenance()["corpus"]
    assert (provenance["name"], provenance["revision"]) == ("imdb", COMMIT)
    assert provenance["tokenizer"].startswith("NLTK ")
    assert provenance["rows"]["train"] == 20
    words = list(pd.read_parquet(workspace.data / "corpus/test.parquet")["words"].iloc[0])
    assert words == ["Film", "0", "is", "n't", "bad", ".", "Really", "!"]


def test_reviews_of_a_repository_that_lacks_a_split_are_refused(workspace, host):
    table = {"text": ["good", "bad"], "label": [1, 0]}
    host.datasets["stand-in/half"] = {"plain_text/train-00000-of-00001.parquet": parquet(table)}
    workspace.set(
        "corpus", name="imdb", reviews_repository="stand-in/half", reviews_revision=COMMIT
    )
    assert "stand-in/half lacks the splits test" in workspace.refuse()


def test_a_distilbert_checkpoint_with_safetensors_is_taken_as_it_is(workspace, host):
    torch.manual_seed(0)
    config = DistilBertConfig(vocab_size=len(PIECES), n_layers=1, n_heads=2, dim=16, hidden_dim=32)
    model = DistilBertForMaskedLM(config)
    weights = {k: v.clone().contiguous() for k, v in model.state_dict().items()}
    host.models[ENCODER] = {
        "config.json": json.dumps(model.config.to_dict()).encode(),
        "vocab.txt": "\n".join(PIECES).encode(),
        "model.safetensors": save(weights, metadata={"format": "pt"}),
        "pytorch_model.bin": b"never asked for",
    }
    workspace.succeed()
    folder = workspace.data / "encoder"
    assert load_file(folder / "model.safetensors").keys() == weights.keys()
    sent = host.models[ENCODER]["model.safetensors"]
    assert (folder / "model.safetensors").read_bytes() == sent
    assert not any("pytorch_model.bin" in request for request in host.requests)

    from transformers import AutoTokenizer

    assert AutoTokenizer.from_pretrained(folder).tokenize("good") == ["good"]


def test_without_a_network_the_cache_of_an_earlier_download_still_serves(workspace, cache):
    workspace.succeed()
    before = {path.name: path.read_bytes() for path in workspace.data.glob("corpus/*.parquet")}
    workspace.params["corpus"]["seed"] += 1
    cache.rename(workspace.folder / "cache")
    message = workspace.refuse_at("http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert message.startswith("The tagger is unavailable"), "the corpus was; Stanza has no cache"
    assert "HF_HUB_OFFLINE" in message
    after = {path.name: path.read_bytes() for path in workspace.data.glob("corpus/*.parquet")}
    assert before == after, "a failed download leaves what was there"


# Checksums.


def test_a_corpus_with_another_word_is_refused_with_both_checksums(workspace, host, rows):
    for source in ("hub", "auto"):
        workspace.set("assets", source=source)
        other = {**rows, "validation": [Sentence(("other",), 1), *rows["validation"][1:]]}
        host.datasets = corpus_repositories(other)
        message = workspace.refuse()
        assert corpus.canonical_sha256(other["validation"]) in message
        assert corpus.canonical_sha256(rows["validation"]) in message
        assert not (workspace.data / "corpus").exists(), "nothing is left half-written"


def test_a_tagger_with_another_md5_is_refused_with_both_checksums(workspace, host, tagger_files):
    workspace.set("assets", source="auto")
    host.models["stand-in/stanza-en"]["models/pos/tiny_nocharlm.pt"] = b"other bytes"
    message = workspace.refuse()
    for content in (b"other bytes", tagger_files["pos.pt"]):
        assert hashlib.md5(content).hexdigest() in message


def test_encoder_weights_that_differ_from_what_the_hub_lists_are_refused(
    workspace, host, encoder_files
):
    workspace.set("assets", source="auto")
    sent = encoder_files["pytorch_model.bin"]
    host.swapped["pytorch_model.bin"] = sent[:-1] + bytes([sent[-1] ^ 1])
    message = workspace.refuse()
    assert "pytorch_model.bin" in message and "SHA256" in message


def test_test_labels_that_do_not_match_are_left_out_with_a_warning(workspace, host, rows):
    wrong = [Sentence(row.words, 1 - row.label) for row in rows["test"]]
    host.datasets[LABELS] = corpus_repositories({**rows, "test": wrong})[LABELS]
    printed = workspace.succeed()
    assert corpus.canonical_sha256(rows["test"]) in printed
    assert set(pd.read_parquet(workspace.data / "corpus/test.parquet")["label"]) == {-1}
    assert workspace.provenance()["corpus"]["test_labeled"] is False
    assert any("labels" in sentence for sentence in workspace.provenance()["substitutes"])


# Networks that fail.


def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_a_refused_connection_is_an_error_where_the_hub_is_required(workspace):
    url = f"http://127.0.0.1:{closed_port()}"
    message = workspace.refuse_at(url)
    assert message.startswith("The corpus is unavailable: not from the Hub")
    assert url in message and "set assets.source to auto" in message


def test_a_refused_connection_leads_to_the_next_source_with_a_warning(
    workspace, tmp_path, tagger_files
):
    mirror = tmp_path / "mirror"
    (mirror / "stanza/en/pos").mkdir(parents=True)
    (mirror / "stanza/en/pos/ewt.pt").write_bytes(tagger_files["pos.pt"])
    workspace.client = Client(f"http://127.0.0.1:{closed_port()}", tmp_path / "cache")
    workspace.set("assets", source="auto", mirror=str(mirror))
    workspace.set("corpus", limit=100)
    workspace.set("encoder", initialization="auto", vocabulary=300)
    printed = workspace.succeed()
    workspace.client.close()
    provenance = workspace.provenance()
    sources = [provenance[asset]["source"] for asset in ("corpus", "tagger", "encoder")]
    assert sources == ["embedded", "mirror", "from_scratch"]
    assert provenance["is_sst2"] is False
    _, tagger, unknown, _ = provenance["substitutes"]  # of corpus, tagger and encoder
    assert "The tagger is the mirror's" in tagger and "lack" in unknown
    for sentence in provenance["substitutes"]:
        assert sentence in printed
    assert "not from the Hub" in printed


def test_a_host_that_accepts_and_never_answers_is_given_up(workspace):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        workspace.set("assets", hub_timeout_seconds=1)
        message = workspace.refuse_at(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert "no answer" in message


@pytest.mark.parametrize(
    ("file", "asset"),
    [
        ("train-00000-of-00001.parquet", "corpus"),
        ("tiny_nocharlm.pt", "tagger"),
        ("pytorch_model.bin", "encoder"),
    ],
)
def test_a_truncated_file_is_an_error_and_leaves_nothing(workspace, host, file, asset):
    host.truncated.add(file)
    message = workspace.refuse()
    assert message.startswith(f"The {asset} is unavailable: not from the Hub")
    assert not (workspace.data / "corpus").exists()


# Names that do not exist.


def test_a_checkpoint_that_the_hub_does_not_know_is_a_mistake(workspace):
    workspace.set("assets", source="auto")
    workspace.set("encoder", checkpoint="stand-in/absent", initialization="auto")
    message = workspace.refuse()
    assert "encoder.checkpoint" in message and "stand-in/absent" in message


def test_a_revision_that_the_hub_does_not_know_is_a_mistake(workspace):
    workspace.set("encoder", revision="2" * 40)
    assert "2" * 40 in workspace.refuse()


def test_an_unknown_package_or_language_of_stanza_is_a_mistake(workspace):
    workspace.set("tagger", package="no_such_package")
    assert "tagger.package" in workspace.refuse()
    workspace.set("tagger", package="default_fast", language="xx")
    assert "tagger.language" in workspace.refuse()


# The real rows, where they are.


def test_sst2_is_byte_identical_from_hub_and_mirror(tmp_path, host, client):
    folder = MIRROR / "sst2"
    if not (folder / "train.tsv").is_file():
        pytest.skip(f"no mirror with SST-2 at {MIRROR}; set GGSA_MIRROR to compare with it")
    test = sst2.read_unlabeled_tsv(folder / "test.tsv")
    labels = sst2.read_labels_tsv(folder / "test_labels.tsv")
    rows = {
        "train": sst2.read_labeled_tsv(folder / "train.tsv"),
        "validation": sst2.read_labeled_tsv(folder / "dev.tsv"),
        "test": [Sentence(row.words, label) for row, label in zip(test, labels, strict=True)],
    }
    host.datasets = corpus_repositories(rows)
    written = {}
    for source in ("hub", "mirror"):
        (tmp_path / source).mkdir()
        workspace = Workspace(tmp_path / source, client, None)
        workspace.set("assets", source=source, mirror=str(MIRROR.resolve()))
        workspace.set("corpus", selection_sentences=500)
        if source == "mirror":
            workspace.set("encoder", initialization="from_scratch")
        workspace.succeed()
        assert workspace.provenance()["is_sst2"] is True
        assert workspace.provenance()["corpus"]["test_labeled"] is True
        assert workspace.provenance()["corpus"]["whole_sentences"] == 6224
        files = sorted(workspace.data.glob("corpus/*.parquet"))
        written[source] = {path.name: path.read_bytes() for path in files}
    assert len(written["hub"]) == 5
    assert written["hub"] == written["mirror"]
