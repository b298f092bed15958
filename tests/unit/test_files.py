"""The user's own files: what is read of them, how splits are cut, and what is refused."""

import json
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ggsa.assets import corpora, precheck, rows, sentences
from ggsa.assets.corpora import files
from ggsa.assets.corpus import Sentence
from ggsa.workspace import blocks, checksums, config
from ggsa.workspace.errors import UserError
from ggsa.workspace.steps import FEWEST_STEPS

ROOT = Path(__file__).parents[2]
ENDINGS = st.sampled_from(("csv", "tsv", "jsonl"))
CLASSES = ("bad", "fine", "so-so")
ROWS = [(f"This film, number {n}, isn't {CLASSES[n % 3]}.", CLASSES[n % 3]) for n in range(60)]


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpora").mkdir()
    return tmp_path


def params(**changed: object) -> config.Params:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["corpus"].update(name="files", selection_sentences=9)
    content["corpus"]["files"] |= {"train": "corpora/train.csv", **changed}
    return config.parse(content)


def write_csv(rows: list = ROWS, name: str = "train.csv", heading: str = "text,label") -> None:
    lines = [heading, *(f'"{text}",{label}' for text, label in rows)]
    Path("corpora", name).write_text("\n".join(lines) + "\n")


def write_lines(rows: list = ROWS, name: str = "train.jsonl", text: str = "text") -> None:
    lines = [json.dumps({"label": label, text: content}) for content, label in rows]
    Path("corpora", name).write_text("\n".join(lines) + "\n")


def obtain(**changed: object) -> sentences.Obtained:
    return sentences.obtain(params(**changed))


def refusal(**changed: object) -> str:
    with pytest.raises(UserError) as caught:
        obtain(**changed)
    message = str(caught.value)
    assert message.count("\n") == 0 and message.endswith("."), message
    return message


def test_csv_tsv_and_json_lines_give_the_same_corpus() -> None:
    write_csv()
    write_lines()
    tabbed = ["text\tlabel", *(f"{text}\t{label}" for text, label in ROWS)]
    Path("corpora/train.tsv").write_text("\n".join(tabbed))
    found = [obtain(train=f"corpora/train.{end}") for end in ("csv", "tsv", "jsonl")]
    assert found[0].splits == found[1].splits == found[2].splits
    assert found[0].splits["train"][0].words[-4:] == ("is", "n't", "bad", ".")


def test_the_default_size_of_the_selection_split_suits_a_small_file() -> None:
    write_csv()
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["corpus"] |= {"name": "files"}
    content["corpus"]["files"] |= {"train": "corpora/train.csv"}
    obtained = sentences.obtain(config.parse(content))
    assert len(obtained.splits["selection"]) == len(obtained.splits["train"]) // 10 > 0


def test_words_are_taken_as_they_are_given() -> None:
    words = [(["New", f"{n}", "words."], label) for n, (_, label) in enumerate(ROWS)]
    write_lines(words, text="tokens")
    lines = ["tokens,label", *(f"{' '.join(row)},{label}" for row, label in words)]
    Path("corpora/spaced.csv").write_text("\n".join(lines))
    options = {"text": None, "words": "tokens"}
    found = obtain(train="corpora/train.jsonl", **options)
    assert all(row.words[2] == "words." for row in found.splits["train"])
    assert found.splits == obtain(train="corpora/spaced.csv", **options).splits
    assert found.provenance["tokenizer"] is None


def test_provenance_names_files_and_classes_and_is_not_sst2() -> None:
    write_csv()
    about = obtain().provenance
    assert (about["source"], about["name"], about["classes"]) == ("files", "files", [*CLASSES])
    sha256 = checksums.sha256(Path("corpora/train.csv"))
    assert about["files"] == {"train": {"name": "train.csv", "sha256": sha256}}
    assert about["rows"] | {"examples": 0} == {
        "train": 48, "validation": 6, "test": 6, "selection": 9, "examples": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["b", "a", "B"], ["B", "a", "b"]),
        ([10, 9, -1], ["-1", "9", "10"]),
        ([True, False, True], ["false", "true"]),
    ],
)
def test_classes_are_sorted_names_or_numbers(labels: list, classes: list) -> None:
    write_lines([(text, labels[n % 3]) for n, (text, _) in enumerate(ROWS)])
    about = obtain(train="corpora/train.jsonl")
    assert about.provenance["classes"] == classes
    assert {row.label for row in about.splits["train"]} == set(range(len(classes)))


@given(
    st.lists(st.tuples(st.sampled_from("abcdefghijklmnop"), st.sampled_from((0, 1, 2)))),
    st.floats(0.05, 0.45),
)
def test_no_text_is_on_both_sides_of_a_cut_and_no_row_is_lost(rows: list, share: float) -> None:
    rows = [Sentence((word,), label) for word, label in rows]
    held_out = files.cut(rows, share, "seed")
    rest = files.without(rows, held_out)
    assert not {row.words for row in rest} & {row.words for row in held_out}
    assert sorted([*rest, *held_out]) == sorted(rows)
    assert files.cut(rows, share, "seed") == held_out


def test_no_text_of_a_split_is_trained_on(capsys: pytest.CaptureFixture) -> None:
    write_csv()
    write_csv([*ROWS[:6], ("Another one.", "bad")], "dev.csv")
    found = obtain(validation="corpora/dev.csv")
    train = found.tables["train"]
    trained = {tuple(words) for words in train[~train["leaks_selection"]]["words"]}
    for split in ("selection", "validation", "test"):
        assert not trained & {row.words for row in found.splits[split]}
    assert found.provenance["rows_left_out"] > 0
    assert "left out of train: " in capsys.readouterr().err
    assert len(found.splits["validation"]) == 7, "a file is taken whole"


# What is refused.


def test_a_missing_file_is_named_with_what_lies_beside_it() -> None:
    write_csv(name="trian.csv")
    message = refusal()
    assert "corpora/train.csv does not exist" in message and "corpora/trian.csv" in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no rows"),
        (b'""\n\n', "has no rows"),
        (b"text,label\n", "has no rows"),
        ("text,label\nschön,1\n".encode("latin-1"), "byte 14 is 0xf6"),
        (b"text,label\n\0\0,1\n", "is a binary file"),
        (b"txt,label\na,1\n", "row 1: corpus.files.text: unknown column text. Did you mean txt?"),
        (b"text,class\na,1\n", "corpus.files.label: unknown column label. Expected one of: text, class"),
        (b"text,label\na,1\n ,0\n", "row 2: the column text is empty"),
        (b"text,label\na,1\nb,\n", "row 2: the label is missing (column label)"),
        (b"text,label\na,1\nb,1\n", "got the class '1' in every row"),
        (b"text,label\na,1\nb, no,0\n", "row 2: expected 2 fields as in the header (text, label), got 3"),
        (b'text,label\na,1\n"b,0\n', "line 3: unexpected end of data"),
        (b"text,text,label\na,b,1\n", "the column 'text' appears twice"),
        (b"text,label\na,1\nb,0\n", "the class '0' has too few rows to split: 1, row 2."),
    ],
)  # fmt: skip
def test_a_malformed_csv_is_refused_in_one_paragraph(content: bytes, said: str) -> None:
    Path("corpora/train.csv").write_bytes(content)
    message = refusal()
    assert said in message and "corpora/train.csv" in message


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[1, 2]", "row 2: '[1, 2]' is not an object"),
        ("{text: 1}", "is not valid JSON"),
        ('{"text": 5, "label": 1}', "expected a text in the column text, got 5"),
        (
            '{"text": "a", "label": 1.5}',
            "row 2: expected a text or a whole number as label (column label), got 1.5",
        ),
        ('{"text": "a", "label": null}', "row 2: the label is missing"),
        ('{"text": "a"}', "row 2: corpus.files.label: unknown column label"),
    ],
)
def test_a_malformed_json_line_is_refused_with_its_row(line: str, said: str) -> None:
    Path("corpora/train.jsonl").write_text('{"text": "a", "label": 1}\n' + line + "\n")
    assert said in refusal(train="corpora/train.jsonl")


@given(content=st.binary(max_size=80) | st.text(max_size=80).map(str.encode), ending=ENDINGS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_file_holds_it_is_read_or_refused_in_one_paragraph(
    content: bytes, ending: str
) -> None:
    path = Path(f"corpora/any.{ending}")
    path.write_bytes(content)
    try:
        rows = files.labeled(path, params(train=str(path)).corpus.files)
    except UserError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert rows and all(words and label for words, label in rows)


def test_a_surrogate_character_raises_an_error() -> None:
    Path("corpora/train.jsonl").write_text('{"text": "a \\ud800", "label": 1}\n')
    assert "row 1: invalid surrogate character" in refusal(train="corpora/train.jsonl")


def test_a_word_with_a_space_in_it_is_refused() -> None:
    write_lines([(["New York", "is"], "a")])
    message = refusal(train="corpora/train.jsonl", text=None, words="text")
    assert "in the column text, or a list of words without spaces, got ['New York']" in message


def test_a_class_that_train_lacks_is_refused_with_the_file_that_has_it() -> None:
    write_csv()
    write_csv([("Strange.", "odd")], "dev.csv")
    message = refusal(validation="corpora/dev.csv")
    assert "corpora/dev.csv: expected a class of corpora/train.csv (bad, fine, so-so)" in message
    assert "got 'odd' (1, row 1)" in message


@pytest.mark.parametrize("rest", [[], [("Yes.", "fin"), ("No.", "fin")]])
@pytest.mark.parametrize("name", ["fin", "FINE", "fine.", "fein"])
def test_a_misspelled_label_is_refused_with_its_rows_and_the_label_that_it_is_like(
    name: str, rest: list
) -> None:
    wrong = [("Another one.", name), *((text, name) for text, _ in rest)]
    write_csv([*ROWS, *wrong])
    message = refusal()
    places = ", ".join(str(len(ROWS) + n) for n in range(1, len(wrong) + 1))
    assert f"the class '{name}' has too few rows to split: {len(wrong)}, row" in message
    assert f" {places}. Without" in message
    assert "If this is a misspelling of 'fine', correct it" in message


def test_a_rare_class_that_is_like_no_other_is_not_called_a_misspelling() -> None:
    write_csv([*ROWS, ("Another one.", "excellent")])
    message = refusal()
    assert "to split: 1, row 61." in message and "misspelling" not in message


# What is checked before anything is downloaded.


def check(epochs: int, **changed: object) -> str:
    """What `make check` says of the files; empty where it accepts them."""
    accepted = params(**changed)
    recipes = {
        name: recipe.model_copy(update={"epochs": epochs, "batch_size": 8})
        for name, recipe in accepted.train.recipes.items()
    }
    train = accepted.train.model_copy(update={"recipes": recipes})
    try:
        precheck.check(accepted.model_copy(update={"train": train}))
    except UserError as error:
        return str(error)
    return ""


def test_the_check_refuses_a_missing_file_a_missing_column_and_a_wrong_label() -> None:
    assert "corpora/train.csv does not exist" in check(99)
    write_csv(heading="review,label")
    assert "row 1: corpus.files.text: unknown column text" in check(99)
    write_csv([*ROWS, ("Another one.", "fin")])
    assert "misspelling of 'fine'" in check(99)
    write_csv()
    assert check(99) == ""


def test_the_check_counts_the_steps_of_the_sentences_that_are_trained_on() -> None:
    write_csv()
    train = obtain().tables["train"]
    sentences_trained = int((~train["leaks_selection"]).sum())
    assert sentences_trained < len(train) < len(ROWS)
    epochs = -(-FEWEST_STEPS // -(-sentences_trained // 8))
    assert check(epochs) == ""
    message = check(epochs - 1)
    assert f"({sentences_trained} training sentences in batches of 8)" in message
    assert f"Set it to {epochs}, or add rows." in message


@pytest.mark.parametrize(("limit", "is_accepted"), [(None, True), (12_000, True), (60, False)])
def test_the_check_knows_the_largest_size_of_a_corpus_that_is_downloaded(
    limit: int | None, is_accepted: bool
) -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["corpus"]["limit"] = limit
    try:
        precheck.check(config.parse(content))
    except UserError as error:
        assert not is_accepted and "raise corpus.limit" in str(error)
    else:
        assert is_accepted


def test_fewer_rows_than_the_selection_split_needs_are_refused_with_the_key() -> None:
    write_csv(ROWS[:9])
    message = refusal()
    assert "split of 9 (corpus.selection_sentences) takes 3 different texts" in message


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"train": None}, "corpus.files.train: expected a file under corpora/, for example"),
        ({"train": "elsewhere/train.csv"}, "expected a file under corpora/"),
        ({"test": "corpora/../train.csv"}, "changes are tracked, got corpora/../train.csv"),
        ({"train": "corpora/train.xlsx"}, "expected a file that ends in one of .csv, .tsv"),
        ({"words": "tokens"}, "expected a column for text or words, got both"),
        ({"text": None}, "expected a column for text or words, got neither"),
    ],
)
def test_files_that_are_named_wrongly_are_refused_before_any_work(changed: dict, said: str) -> None:
    with pytest.raises(UserError, match=r"one problem") as caught:
        params(**changed)
    assert said in str(caught.value)


@pytest.mark.parametrize("folder", ["linked", "linked/deep", "deep/linked", ".cache"])
def test_a_file_whose_changes_dvc_does_not_notice_is_refused(folder: str) -> None:
    for part in ("elsewhere/deep", "corpora/deep", "corpora/.cache"):
        Path(part).mkdir(parents=True)
    for link in ("corpora/linked", "corpora/deep/linked"):
        Path(link).symlink_to(Path("elsewhere").resolve())
    for file in ("train.csv", "pos.pt"):
        path = f"corpora/{folder}/{file}"
        Path(path).write_text("text,label\n")
        content = yaml.safe_load((ROOT / "params.yaml").read_text())
        content["tagger" if file == "pos.pt" else "corpus"] |= (
            {"package": path}
            if file == "pos.pt"
            else {"name": "files", "files": {**content["corpus"]["files"], "train": path}}
        )
        with pytest.raises(UserError, match=r"one problem") as caught:
            config.parse(content)
        assert f"got {path}, and corpora/{folder.removesuffix('/deep')} is a" in str(caught.value)


def test_a_linked_file_and_a_linked_corpora_are_read() -> None:
    write_csv(ROWS)
    Path("corpora").rename("elsewhere")
    Path("corpora").symlink_to("elsewhere")
    Path("corpora/mine.csv").symlink_to(Path("corpora/train.csv").resolve())
    assert params(train="corpora/mine.csv").corpus.files.train == "corpora/mine.csv"


def test_the_block_of_files_matters_to_no_other_corpus() -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert content["corpus"]["files"]["train"] is None
    config.parse(content)


def test_an_unknown_corpus_raises_an_error_that_suggests_the_nearest_one() -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["corpus"]["name"] = "sst"
    for use in (
        lambda: config.parse(content, known={"corpus": corpora.names()}),
        lambda: sentences.obtain(config.parse(content)),
    ):
        with pytest.raises(
            UserError, match=r"corpus.name: unknown corpus sst. Did you mean sst2\?"
        ) as caught:
            use()
        assert all(name in str(caught.value) for name in corpora.names())


def test_every_corpus_registers_itself_in_its_own_file() -> None:
    folder = Path(corpora.__file__).parent
    assert set(corpora.names()) == {path.stem for path in folder.glob("[!_]*.py")}
    assert {"files", "imdb", "probe", "sst2"} <= set(corpora.names())
    for name in corpora.names():
        registration = corpora.get(name)
        assert registration.label and callable(registration.read) and callable(registration.about)
    assert [name for name in corpora.names() if corpora.get(name).phrases] == ["sst2"]
    assert [name for name in corpora.names() if corpora.get(name).gold_tags] == ["probe"]


def test_the_names_of_corpora_are_known_without_importing_their_readers() -> None:
    code = (
        "import sys; from ggsa.assets import corpora; print(*corpora.names());"
        "print(*{'torch', 'stanza', 'transformers', 'nltk', 'huggingface_hub'} & {*sys.modules})"
    )
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "files imdb probe sst2\n\n"


# The reader that predictions use too.


def test_training_and_predictions_accept_the_same_endings() -> None:
    assert rows.ENDINGS == blocks.CORPUS_ENDINGS
    with pytest.raises(UserError, match=r"text\.txt: expected a file that ends in \.csv"):
        next(rows.read_rows(Path("text.txt")))


@pytest.mark.parametrize("count", [1, rows.CHUNK - 1, rows.CHUNK, 2 * rows.CHUNK + 1])
@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_rows_are_numbered_and_complete_over_all_chunks(count: int, ending: str) -> None:
    path = Path(f"corpora/long.{ending}")
    mark = {"csv": ",", "tsv": "\t"}.get(ending)
    if mark:
        lines = [f"id{mark}text", *(f'{n}{mark}"a\n{n}"' for n in range(count))]
    else:
        lines = [json.dumps({"id": str(n), "text": f"a\n{n}"}) for n in range(count)]
    path.write_text("\n\n".join(lines))
    found = list(rows.read_rows(path))
    assert [row.values for row in found] == [
        {"id": str(n), "text": f"a\n{n}"} for n in range(count)
    ]
    assert found[-1].place == f"{path}, row {count}"


def test_values_stay_as_they_are_written() -> None:
    path = Path("corpora/values.csv")
    path.write_text("id,text\n007,NA\n1.0,\nnull,True\n")
    assert [row.values for row in rows.read_rows(path)] == [
        {"id": "007", "text": "NA"}, {"id": "1.0", "text": ""}, {"id": "null", "text": "True"},
    ]  # fmt: skip
    path = Path("corpora/values.jsonl")
    values = [{"id": 1}, {"id": None, "x": [1.5]}, {"id": True}, {"id": 2**70}]
    path.write_text("\n".join(json.dumps(value) for value in values))
    assert [row.values for row in rows.read_rows(path)] == values
    assert type(next(rows.read_rows(path)).values["id"]) is int


def test_a_large_file_is_read_in_little_memory() -> None:
    path = Path("corpora/large.csv")
    with path.open("w") as file:
        file.write("text,label\n")
        for n in range(50_000):
            file.write(f"{'word ' * 40}{n},{n % 2}\n")
    tracemalloc.start()
    assert sum(1 for _ in rows.read_rows(path)) == 50_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 2


def test_a_byte_that_is_not_utf8_is_named_by_its_position_in_a_large_file() -> None:
    path = Path("corpora/latin.csv")
    path.write_bytes(b"text,label\n" + "ä".encode() * rows.BLOCK + b"\xe4,1\n")
    with pytest.raises(UserError, match=f"byte {11 + 2 * rows.BLOCK} is 0xe4"):
        next(rows.read_rows(path))
    path.write_bytes(b"text,label\nfilm,1\n\xc3")
    with pytest.raises(UserError, match="byte 18 is 0xc3"):
        next(rows.read_rows(path))


def test_a_row_that_is_too_short_or_too_long_is_refused_with_its_number() -> None:
    path = Path("corpora/ragged.csv")
    for wrong, fields in (("a", 1), ("a,1,2", 3)):
        path.write_text("text,label\n" + "a,1\n\n" * (rows.CHUNK + 4) + f"{wrong}\n")
        with pytest.raises(UserError) as caught:
            list(rows.read_rows(path))
        assert f"row {rows.CHUNK + 5}: expected 2 fields" in str(caught.value)
        assert f"got {fields}." in str(caught.value)


@pytest.mark.parametrize(
    ("corpus", "source", "at", "used"),
    [
        ("files", "embedded", None, ["from_scratch"]),
        ("files", "embedded", "folder", ["pretrained"]),
        ("files", "embedded", "mirror", ["from_scratch"]),
        ("files", "hub", None, ["pretrained"]),
        ("files", "mirror", None, ["from_scratch"]),
        ("files", "mirror", "mirror", ["pretrained"]),
        ("files", "auto", "mirror", ["pretrained"]),
        ("files", "auto", "folder", ["pretrained"]),
        ("files", "auto", None, ["pretrained", "from_scratch"]),
        ("sst2", "embedded", None, ["probe"]),
        ("sst2", "auto", None, ["pretrained", "from_scratch", "probe"]),
        ("sst2", "hub", None, ["pretrained"]),
        ("probe", "auto", None, ["probe"]),
    ],
)
def test_the_check_names_the_recipes_that_may_be_used_and_no_other(
    corpus: str, source: str, at: str | None, used: list, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.delenv("GGSA_MIRROR", raising=False)
    write_csv()
    (tmp_path / "mirror/named").mkdir(parents=True)
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["corpus"] |= {"name": corpus, "limit": None if corpus == "files" else 60}
    content["corpus"]["files"]["train"] = "corpora/train.csv"
    content["assets"] |= {"source": source, "mirror": "mirror"}
    content["encoder"] |= {"checkpoint": "mirror/named" if at == "folder" else "named"}
    content["encoder"] |= {"revision": None, "sha256": None}
    if at:
        (tmp_path / "mirror/named/config.json").write_text("{}")

    def sound(enough: list) -> config.Params:
        for name, recipe in content["train"]["recipes"].items():
            recipe |= {"epochs": 300 if name in enough else 1, "warmup": 0.1}
        return config.parse(content)

    others = [name for name in content["train"]["recipes"] if name not in used]
    with pytest.raises(UserError) as caught:
        precheck.check(sound(others))
    assert re.findall(r"train\.recipes\.(\w+)\.epochs", str(caught.value)) == used
    precheck.check(sound(used))
    assert capsys.readouterr().err == ""
    if len(used) > 1:
        precheck.check(sound(used[1:]))
        warning = capsys.readouterr().err
        assert re.findall(r"train\.recipes\.(\w+)\.epochs", warning) == used[:1]
        assert warning.startswith(f"check: The recipe, {' or '.join(used)}, depends on ")
