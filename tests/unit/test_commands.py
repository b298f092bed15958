"""The command `ggsa`: what it prints, writes and refuses."""

import csv
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_models import TAGGED, WORDS, run, table

import ggsa
from ggsa import cli
from ggsa.cli import explaining, exporting, picture, predicting, savings
from ggsa.tagging import tagger
from ggsa.training.identity import data_sha256
from ggsa.workspace import artifacts, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import write_table

COMMANDS = ("explain", "predict", "rules", "cost", "export", "verify")


@pytest.fixture
def folder(tmp_path):
    return run(tmp_path / "run", table())


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A workspace whose rules stage has counted two rules."""
    monkeypatch.setattr(paths, "RULES", tmp_path / "rules")
    statistics = tmp_path / "rules/statistics"
    statistics.mkdir(parents=True)
    pd.DataFrame(
        {
            "rule": ["DET->NOUN", "ADJ->NOUN"],
            "source": ["paper", "added"],
            "fires": [10, 2000],
            "sentences": [4, 900],
            "density_share": [0.01, 0.2],
            "saving_if_dropped": [0.01, 0.1],
        }
    ).to_csv(statistics / "rules.csv", index=False)
    pd.DataFrame(
        {"mode": ["full", "hard"], "split": ["train", "train"], "density": [1.0, 0.25]}
    ).to_csv(statistics / "density.csv", index=False)


def called(arguments, capsys):
    cli.main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def refused(arguments) -> str:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(stopped.value.code, str), "a sentence, and so a non-zero exit"
    assert "\n" not in stopped.value.code.strip()
    return stopped.value.code


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_shows_an_example_that_it_understands(name, capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    _, _, examples = capsys.readouterr().out.partition("example:\n")
    assert examples.strip()
    for example in examples.strip().splitlines():
        program, *arguments = shlex.split(example)
        assert program == "ggsa"
        assert cli.parser().parse_args(arguments).run


def test_rules_are_listed_with_source_and_count(finished, capsys) -> None:
    lines = called(["rules", "--sort", "density"], capsys).splitlines()
    assert lines[2].split() == ["ADJ->NOUN", "added", "2,000", "900", "20.0%", "10.0%"]
    assert lines[3].split()[0] == "DET->NOUN"


def test_cost_takes_the_density_of_a_mode_or_the_one_given(finished, capsys) -> None:
    arguments = ["cost", "--length", 4096, "--layers", 12, "--hidden", 768]
    assert "saved            75.0%" in called(arguments, capsys)
    assert "saved            60.0%" in called([*arguments, "--density", 0.4], capsys)


def test_the_model_saves_the_share_that_attention_has_of_it() -> None:
    found = savings.savings(4096, 12, 768, density=0.25)
    assert found.saving_model == pytest.approx(0.75 * found.attention_share)
    # Attention against projections and feed-forward, pooler and classifier left out.
    assert found.attention_share == pytest.approx(4096 / (4096 + 6 * 768), rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--length", 0], "length: expected an integer >= 1, got 0"),
        (["--length", 9, "--density", 1.5], "at most 1, got 1.5"),
        (["--length", 9, "--mode", "hrad"], "Did you mean hard?"),
    ],
)
def test_cost_refuses_what_makes_no_sense(arguments, said, finished) -> None:
    assert said in refused(["cost", *arguments])


@pytest.fixture
def benchmark():
    return pd.read_csv(paths.BENCHMARK / "results.csv")


def attention_rows(benchmark, ours, **chosen) -> pd.DataFrame:
    chosen |= {"ours": ours, "batch": 1, "threads": 1, "tags": "joined sentences"}
    rows = benchmark[benchmark["benchmark"] == "attention"]
    for column, value in chosen.items():
        rows = rows[rows[column] == value]
    return rows.sort_values("length")


@pytest.mark.parametrize("direction", ["forward", "forward and backward"])
@pytest.mark.parametrize("heads", [2, 12])
def test_a_time_that_was_measured_is_quoted_and_others_are_between_their_neighbors(
    direction, heads, benchmark
) -> None:
    rows = attention_rows(benchmark, "hard, grouped", heads=heads, direction=direction)
    auto = attention_rows(benchmark, "hard, auto", heads=heads, direction=direction)
    assert len(rows) == len(auto) > 2
    quoted = [
        savings.seconds(benchmark, "hard", direction, int(row.length), heads, row.limit)
        for row in rows.itertuples()
    ]
    assert np.allclose([each.ours for each in quoted], auto["value_ours"])
    assert np.allclose([each.full for each in quoted], rows["value_peer"])
    assert np.allclose([each.density for each in quoted], rows["limit"])
    for low, high, length in zip(quoted, quoted[1:], rows["length"], strict=False):
        between = savings.seconds(benchmark, "hard", direction, int(1.5 * length), heads, 0.33)
        assert low.ours < between.ours < high.ours and low.full < between.full < high.full
        few, some, many = (
            savings.seconds(benchmark, "hard", direction, int(length), number, 0.33)
            for number in (2, 6, 12)
        )
        assert few.full < some.full < many.full


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--length", 25], "texts of 128 to 8,192 word pieces were timed for hard, not of 25"),
        (["--length", 8193], "not of 8,193"),
        (["--length", 512, "--hidden", 64], "2 to 12 heads were timed for hard, not 1"),
        (["--length", 512, "--hidden", 1024], "not 16"),
        (["--length", 512, "--hidden", 384, "--heads", 12], "heads of width 64 were timed"),
        (["--length", 512, "--mode", "full"], "hard was timed (forward), not full"),
        (["--length", 512, "--density", 0.33], "tables of modes were timed, not a density"),
        (["--length", 128], "hard was timed at density 0.40 for this length, and it is 0.25 here"),
    ],
)
def test_cost_quotes_no_time_outside_of_what_was_measured(
    arguments, reason, finished, capsys
) -> None:
    out = called(["cost", *arguments], capsys)
    assert out.splitlines()[-1].startswith("No time is quoted: ") and reason in out
    assert "Net " not in out


def test_the_net_time_of_a_sentence_includes_tagging(finished, benchmark, capsys) -> None:
    rows = attention_rows(benchmark, "hard, auto", heads=12, direction="forward", length=2048)
    full = attention_rows(benchmark, "hard, grouped", heads=12, direction="forward", length=2048)
    speed = benchmark.loc[benchmark["benchmark"] == "tagging", "value_ours"].item()
    saved = 12 * (full["value_peer"].item() - rows["value_ours"].item())
    for words in (2046, 100):
        out = called(["cost", "--length", 2048, "--words", words], capsys)
        net = out.splitlines()[-1]
        assert f": {saved - words / speed:.2g} s saved ({saved:.2g} s saved" in net
        assert f"{words / speed:.2g} s for tagging {words:,} words" in net
    shallow = called(["cost", "--length", 2048, "--hidden", 128, "--layers", 2], capsys)
    assert " s lost (" in shallow.splitlines()[-1]
    assert "words: expected 1 to 510" in refused(["cost", "--length", 512, "--words", 511])


# explain


def test_a_sentence_is_explained_by_the_pattern_that_the_run_carries(folder, capsys) -> None:
    found = explaining.explain("The plot is thin.", folder, tuple(TAGGED[0]))
    assert found.tokens == ("[CLS]", "The", "plot", "is", "thin", ".", "[SEP]")
    own = next(each for each in found.views if each.mode == "hard")
    pattern = table()
    tags = [pattern.tags.index(tag) for tag in found.tags]
    expected = pattern.allowed[np.ix_(tags, tags)] | np.eye(len(tags), dtype=bool)
    assert np.array_equal(own.allowed, expected)
    assert own.density == pytest.approx(expected.mean())
    assert not (found.weights.max(axis=(0, 1)) > 0)[~own.allowed].any()
    assert np.allclose(found.weights.sum(axis=-1), 1, atol=1e-5)


def test_pieces_of_a_word_look_as_one(folder) -> None:
    found = explaining.explain("a good film plots", folder, tuple(TAGGED[2]))
    assert [len(pieces) for pieces in found.pieces] == [1, 1, 1, 1, 2, 1]
    assert found.weights.shape[-2:] == (6, 6)
    assert np.allclose(found.weights.sum(axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize("ending", [".html", ".png"])
def test_an_explanation_is_drawn(folder, ending, tmp_path, capsys) -> None:
    path = tmp_path / f"picture{ending}"
    out = called(
        ["explain", "--run", folder, "--tags", "PART ADJ", "--out", path, "not bad"], capsys
    )
    assert "hard:" in out
    assert "not" in out
    content = path.read_bytes()
    assert content.startswith(b"<!doctype html>" if ending == ".html" else b"\x89PNG")
    assert (b"http:" not in content and b"https:" not in content) or ending == ".png"


def test_an_explanation_is_one_line_in_a_terminal_and_its_text_in_a_notebook(folder) -> None:
    explanation = explaining.explain("not < bad", folder, ["PART", "SYM", "ADJ"])
    line = repr(explanation)
    assert line.startswith("Explanation('not < bad'; densities: hard 0.")
    assert f"{folder} predicts {explanation.prediction.label}" in line
    assert "\n" not in line
    shown = explanation._repr_html_()
    assert shown.startswith("<pre>")
    assert "&lt;" in shown
    assert "may attend to" in shown


def test_the_page_shows_the_models_attention_in_the_explorer_and_is_as_wide_as_the_screen(
    folder, tmp_path
) -> None:
    tags = ["ADJ", "SYM", "X", "SYM", "SYM", "NOUN"]
    explanation = explaining.explain("bad $x$ < films", folder, tags)
    picture.write(explanation, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    data = json.loads(re.search(r'id="explorer-data">(.*?)</script>', page).group(1))
    pieces = [piece for word in explanation.pieces for piece in word]
    assert data["sentences"][0]["pieces"] == pieces
    assert [mode["name"] for mode in data["modes"]] == ["hard"] and data["seed"] == "not recorded"
    weights = ggsa.load(folder).attention(explanation.tokens[1:-1], explanation.tags[1:-1])
    shown = np.array(data["weights"]["hard"][0]) / data["unit"]
    assert np.allclose(shown.reshape(weights.shape), weights, atol=1e-4)
    assert page.count("<img ") == len(explanation.views) + len(weights)
    assert "<h1>bad $ x $ &lt; films</h1>" in page
    # Nothing is wider than the screen: pictures shrink, and a matrix that does not fit is left out.
    assert ".panels img { max-width: 100%" in page and "<figure" not in page
    assert re.search(r"@media \(max-width: [\d.]+rem\) { \.explorer \.every", page)
    long = picture.page(explaining.explain("bad " * 14, folder, ["ADJ"] * 14))
    assert float(re.search(r"max-width: ([\d.]+)rem\) { \.explorer", long).group(1)) > 40


def test_explain_refuses_what_it_cannot_explain(folder, tmp_path) -> None:
    tags = ["--run", folder, "--tags"]
    assert "expected at least one word" in refused(["explain", "  "])
    assert "unknown tag NUON" in refused(["explain", *tags, "NUON ADJ", "not bad"])
    assert "one tag for each of the 2 words" in refused(["explain", *tags, "ADJ", "not bad"])
    assert "at most 16" in refused(["explain", *tags, "ADJ", "bad " * 10_000])
    assert "nowhere does not exist" in refused(["explain", "--run", "nowhere", "bad"])
    assert ".html or .png" in refused(["explain", "--out", tmp_path / "x.gif", "bad"])
    with pytest.raises(UserError, match=r"\.html or \.png"):
        picture.check_suffix(tmp_path / "x")


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["explain", "not bad"], "data/encoder"),
        (["explain", "--run", "hard-42", "not bad"], "runs/core/hard-42"),
        (["predict", "--run", "exported", "a.csv"], "runs/core/exported"),
        (["rules"], "data/rules/statistics/rules.csv"),
    ],
)
def test_outside_the_projects_folder_a_missing_file_is_named_with_its_whole_path(
    arguments, path, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("text\nnot bad\n")
    assert str(tmp_path / path) in refused(arguments)


# predict


@pytest.fixture
def sentences(tmp_path):
    """The same three sentences as CSV and as JSON lines."""
    rows = [
        {"id": str(i), "words": " ".join(words), "tags": " ".join(tags)}
        for i, (words, tags) in enumerate(zip(WORDS, TAGGED, strict=True))
    ]
    with (tmp_path / "a.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "words", "tags"])
        writer.writeheader()
        writer.writerows(rows)
    lines = [json.dumps({**row, "words": row["words"].split()}) for row in rows]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    return tmp_path


@pytest.mark.parametrize("source", ["a.csv", "a.jsonl"])
@pytest.mark.parametrize("target", ["b.csv", "b.jsonl"])
def test_every_row_comes_back_in_order_with_what_the_model_says(
    source, target, folder, sentences, monkeypatch
) -> None:
    monkeypatch.setattr(predicting, "CHUNK", 2)
    cli.main(
        ["predict", "--run", str(folder), str(sentences / source), "--out", str(sentences / target)]
    )
    read = pd.read_csv if target.endswith("csv") else lambda path: pd.read_json(path, lines=True)
    found = read(sentences / target)
    expected = ggsa.load(folder).predict(WORDS, TAGGED)
    assert found["id"].astype(str).tolist() == ["0", "1", "2"]
    assert found["prediction"].tolist() == [each.label for each in expected]
    for name in expected[0].probabilities:
        values = [each.probabilities[name] for each in expected]
        assert np.allclose(found[f"probability_{name}"], values, atol=1e-5)
    assert not list(sentences.glob("*.partial"))


def test_predictions_are_printed_where_no_file_is_named(folder, sentences, capsys) -> None:
    out = called(["predict", "--run", folder, sentences / "a.csv"], capsys)
    assert out.splitlines()[0].startswith("id,words,tags,prediction,probability_")
    assert len(out.splitlines()) == 4


BAD = {
    "nothing.csv": ("", "has no rows"),
    "header.csv": ("words,tags\n", "has no rows"),
    "other.csv": ("review,id\nbad,1\n", "expected a column words, text or sentence"),
    "ragged.csv": ("words,tags\nbad,ADJ,more\n", "row 1: expected 2 fields"),
    "tag.csv": ("words,tags\nbad,ADJX\n", "row 1: unknown tag ADJX. Did you mean ADJ?"),
    "count.csv": ("words,tags\nnot bad,ADJ\n", "row 1: expected 2 tags in the column tags"),
    "long.csv": (f"words,tags\n{'bad ' * 10_000},{'ADJ ' * 10_000}\n", "row 1: 10,000 words"),
    "broken.jsonl": (
        '{"words": ["bad"], "tags": ["ADJ"]}\n{"wor',
        "row 2: '{\"wor' is not valid JSON",
    ),
    "list.jsonl": ("[1]\n", "row 1: '[1]' is not an object"),
    "ending.txt": ("bad", "expected a file that ends in"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_file_is_refused_in_one_line_that_names_the_row(name, folder, tmp_path) -> None:
    text, said = BAD[name]
    (tmp_path / name).write_text(text)
    assert said in refused(["predict", "--run", folder, tmp_path / name])


def test_the_file_that_is_read_is_never_overwritten(folder, tmp_path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("words,tags\nbad,ADJ\n")
    (tmp_path / "link.csv").symlink_to(source)
    for target in (source, tmp_path / "link.csv"):
        message = refused(["predict", "--run", folder, source, "--out", target])
        assert "is the file that is read" in message
    assert source.read_text() == "words,tags\nbad,ADJ\n"


def test_a_row_without_words_gets_an_empty_prediction_and_is_counted(
    folder, tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(predicting, "CHUNK", 2)
    source = tmp_path / "a.csv"
    source.write_text("words,tags\nbad,ADJ\n,\n\u200b,X\n,ADJ\nfilm,NOUN\n")
    for target in ("b.csv", "b.jsonl"):
        cli.main(["predict", "--run", str(folder), str(source), "--out", str(tmp_path / target)])
        assert "Without words and prediction: 3 of 5 rows." in capsys.readouterr().err
    found = pd.read_csv(tmp_path / "b.csv")
    assert found["prediction"].notna().tolist() == [True, False, False, False, True]
    assert found.filter(like="probability_").notna().sum().tolist() == [2, 2]
    rows = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert rows[1]["prediction"] is None and rows[4]["prediction"] == found["prediction"][4]
    said = refused(["predict", "--run", folder, source, "--strict"])
    assert "row 2: the column words is empty" in said


@pytest.mark.parametrize("blank", ["", '""', "  "])
def test_a_blank_line_of_a_file_with_one_column_is_a_row_without_words(
    blank, folder, tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(
        predicting,
        "project_tagger",
        lambda: lambda texts: [["ADJ"] * len(words) for words in texts],
    )
    source = tmp_path / "a.csv"
    source.write_text(f"words\nbad\n{blank}\nfilm\n")
    out = called(["predict", "--run", folder, source, "--out", tmp_path / "b.jsonl"], capsys)
    rows = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert [row["words"].strip() for row in rows] == ["bad", "", "film"], out
    assert [bool(row["prediction"]) for row in rows] == [True, False, True]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "words,tags\nbad,ADJ\n\n\nfilm,NOUN\n\n"),
        ("a.jsonl", '{"words": "bad", "tags": "ADJ"}\n\n\n{"words": "film", "tags": "NOUN"}\n\n'),
    ],
)
def test_blank_lines_between_rows_are_counted_where_they_are_no_rows(
    name, text, folder, tmp_path, capsys
) -> None:
    (tmp_path / name).write_text(text)
    cli.main(
        ["predict", "--run", str(folder), str(tmp_path / name), "--out", str(tmp_path / "b.csv")]
    )
    assert f"{name}: 2 blank lines between the rows are skipped." in capsys.readouterr().err
    assert len(pd.read_csv(tmp_path / "b.csv")) == 2


def test_the_accuracy_says_how_many_rows_with_a_label_have_no_words(
    folder, tmp_path, capsys
) -> None:
    source = tmp_path / "a.csv"
    label = ggsa.load(folder).classes[0]
    rows = {"bad,ADJ": 1, ",": 2}
    for chosen in (rows, {",": 2}):
        lines = [f"{row},{label}" for row, count in chosen.items() for _ in range(count)]
        source.write_text("\n".join(["words,tags,label", *lines, ",,"]))
        cli.main(["predict", "--run", str(folder), str(source)])
        said = capsys.readouterr().err
        expected = (
            "of 1 labeled row; 2 more without words)"
            if len(chosen) == 2
            else "No accuracy: no words in 2 labeled rows."
        )
        assert expected in said


@pytest.mark.parametrize("numbered", [False, True])
def test_the_accuracy_is_over_the_rows_with_a_label(numbered, folder, tmp_path, capsys) -> None:
    model = ggsa.load(folder)
    names = [each.label for each in model.predict(WORDS, TAGGED)]
    wrong = next(name for name in model.classes if name != names[1])
    labels = [names[0], wrong, "", names[0], "-1"]
    if numbered:
        labels = [
            str(model.classes.index(name)) if name in model.classes else name for name in labels
        ]
    texts = [*WORDS, [], WORDS[0]]
    tags = [*TAGGED, [], TAGGED[0]]
    source = tmp_path / "a.jsonl"
    source.write_text(
        "\n".join(
            json.dumps({"words": words, "tags": row, "label": label, "other": label})
            for words, row, label in zip(texts, tags, labels, strict=True)
        )
    )
    for option in ([], ["--label", "other"]):
        cli.main(["predict", "--run", str(folder), str(source), *option])
        printed = capsys.readouterr()
        assert "Accuracy: 0.5000 (1 of 2 labeled rows" in printed.err
        assert (f"1 is {model.classes[1]}" in printed.err) == numbered
        assert "Accuracy" not in printed.out


def test_labels_that_are_not_classes_give_no_accuracy_and_are_refused_where_named(
    folder, tmp_path, capsys
) -> None:
    source = tmp_path / "a.csv"
    source.write_text("words,tags,label\nbad,ADJ,0\nbad,ADJ,5 stars\n")
    out = called(["predict", "--run", folder, source], capsys)
    assert len(out.splitlines()) == 3
    cli.main(["predict", "--run", str(folder), str(source)])
    assert "No accuracy." in capsys.readouterr().err
    said = refused(["predict", "--run", folder, source, "--label", "label"])
    assert "row 2: the column label holds '5 stars', which is not a class" in said
    assert "unknown column labels" in refused(
        ["predict", "--run", folder, source, "--label", "labels"]
    )


def test_predict_refuses_a_missing_run_file_or_column_and_a_binary_file(folder, sentences) -> None:
    source = sentences / "a.csv"
    assert "nowhere does not exist" in refused(["predict", "--run", "nowhere", source])
    assert "does not exist" in refused(["predict", "--run", folder, sentences / "none.csv"])
    said = refused(["predict", "--run", folder, source, "--words", "wrods"])
    assert "unknown column wrods. Did you mean words?" in said
    (sentences / "binary.csv").write_bytes(bytes(range(256)) * 20)
    assert "not UTF-8 text" in refused(["predict", "--run", folder, sentences / "binary.csv"])


def test_a_csv_cannot_hold_a_column_that_the_first_row_lacks(folder, tmp_path) -> None:
    source = tmp_path / "a.jsonl"
    rows = [{"words": ["bad"], "tags": ["ADJ"]}, {"words": ["bad"], "tags": ["ADJ"], "id": 1}]
    source.write_text("\n".join(json.dumps(row) for row in rows))
    refusal = refused(["predict", "--run", folder, source, "--out", tmp_path / "b.csv"])
    assert "row 2: the row has columns that the first row lacks" in refusal
    command = ["predict", "--run", folder, source, "--out", tmp_path / "b.jsonl"]
    cli.main([str(argument) for argument in command])
    assert len((tmp_path / "b.jsonl").read_text().splitlines()) == 2


def test_what_was_predicted_before_a_wrong_row_is_kept(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(predicting, "CHUNK", 2)
    source, target = tmp_path / "a.csv", tmp_path / "b.csv"
    source.write_text("words,tags\n" + "bad,ADJ\n" * 4 + ",\n")
    said = refused(["predict", "--run", folder, source, "--out", target, "--strict"])
    assert "row 5" in said
    assert "b.csv.partial" in said
    assert not target.exists()
    assert len((tmp_path / "b.csv.partial").read_text().splitlines()) == 5


def test_a_long_text_is_cut_where_that_is_asked_for(folder, tmp_path, capsys) -> None:
    source = tmp_path / "long.csv"
    source.write_text(f"words,tags\n{'bad ' * 50},{'ADJ ' * 50}\n")
    assert "--cut" in refused(["predict", "--run", folder, source])
    source.write_text(f"{source.read_text()}bad,ADJ\n")
    cli.main(["predict", "--run", str(folder), str(source), "--cut"])
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 3
    assert "Cut to the 16 word pieces that the model reads: 1 of 2 rows." in printed.err


def test_no_more_than_a_chunk_is_in_memory(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(predicting, "CHUNK", 3)
    source = tmp_path / "a.csv"
    source.write_text("words,tags\n" + "bad,ADJ\n" * 10)
    asked = []
    predict = ggsa.Classifier.predict
    monkeypatch.setattr(
        ggsa.Classifier,
        "predict",
        lambda self, words, *given, **named: (
            asked.append(len(words)) or predict(self, words, *given, **named)
        ),
    )
    assert predicting.predict_file(folder, source, tmp_path / "b.csv") == 10
    assert asked == [3, 3, 3, 1]


# What a model was trained on.


@pytest.fixture
def trained_on(small_corpus, folder):
    """A function that has the run record the data of the workspace, and names their corpus."""

    def write(name: str, pretrained: bool = False, **cell) -> None:
        corpus = {"name": name, "source": "hub", "rows": {"train": 60}}
        encoder = {"pretrained": pretrained, "layers": 2, "hidden": 128}
        provenance = {
            "is_sst2": False, "corpus": corpus, "encoder": encoder,
            "tagger": {"source": "mirror", "name": "a stand-in"},
            "substitutes": ["The tagger is a stand-in, not Stanza's from the Hub."],
        }  # fmt: skip
        artifacts.write_json(paths.provenance(), provenance)
        settings = {"rows": "all", "use_leaking_rows": False}
        cell = {"arm": "hard", "mode": "hard", "seed": 13, "settings": settings} | cell
        cell = {"data_sha256": data_sha256()} | cell
        artifacts.write_json(folder / "cell.json", cell)

    return write


def test_a_model_says_what_it_was_trained_on_and_which_words_it_does_not_know(
    folder, trained_on, tmp_path, capsys
) -> None:
    source = tmp_path / "a.csv"
    source.write_text("words,tags\nBad Film great,ADJ NOUN X\nzany,ADJ\n")

    def notes() -> list[str]:
        cli.main(["predict", "--run", str(folder), str(source)])
        predicted = capsys.readouterr().err.splitlines()[-1]
        explained = called(
            ["explain", "--run", folder, "--tags", "ADJ NOUN X ADJ", "Bad Film great zany"], capsys
        )
        assert explained.splitlines()[-1] == predicted
        return predicted

    trained_on("probe")
    found = notes()
    assert (
        "was trained on the probe corpus (generated sentences), 60 rows in its train split" in found
    )
    assert "Substitutes: The tagger is a stand-in, not Stanza's from the Hub." in found
    unknown = "Of 4 words of the input, 2 (50.0%) have a piece that is [UNK]"
    assert f"{unknown} and 2 (50.0%) do not occur in the model's training data." in found
    assert "its probabilities mean nothing" in found and "pretraining" not in found
    trained_on("imdb", pretrained=True)
    found = notes()
    assert "IMDB" in found and "from pretraining." in found
    assert "mean nothing" not in found
    trained_on("probe", data_sha256="of another corpus")
    found = notes()
    assert f"What {folder} was trained on is unknown" in found and "probe" not in found
    assert f"{unknown}." in found


def test_the_accuracy_says_how_many_rows_the_model_was_trained_on(
    folder, trained_on, tmp_path, capsys
) -> None:
    train = pd.read_parquet(paths.corpus_split("train"))
    train["leaks_selection"] = False
    short = {tuple(words) for words in train["words"] if len(words) in (4, 5)}
    known, leaking = sorted(short)[:2]
    train.loc[[tuple(words) == leaking for words in train["words"]], "leaks_selection"] = True
    write_table(paths.corpus_split("train"), train)
    trained_on("probe")
    label = ggsa.load(folder).classes[0]
    rows = [(" ".join(known).capitalize(), label), (" ".join(leaking), label)]
    source = tmp_path / "a.csv"
    lines = [f"{text},{' '.join(['ADJ'] * len(text.split()))},{name}" for text, name in rows]
    for chosen, seen in ((lines, True), (lines[1:], False)):
        source.write_text("\n".join(["words,tags,label", *chosen]))
        predicting.predict_file(folder, source)
        printed = capsys.readouterr().err
        assert "Accuracy: " in printed
        assert ("contain the words of 1 of these 2 rows" in printed) == seen, printed
    # Rows that share phrases with the selection split, only if the run was trained on them.
    trained_on("probe", settings={"rows": "all", "use_leaking_rows": True})
    predicting.predict_file(folder, source)
    assert "contain the words of 1 of these 1 row" in capsys.readouterr().err


@pytest.mark.parametrize(("cutoff", "rare"), [(0, "do not occur"), (2, "occur fewer than 2 times")])
def test_words_that_the_tagger_never_saw_are_counted_where_it_tags_the_input(
    cutoff, rare, folder, trained_on, tmp_path, monkeypatch, capsys
) -> None:
    trained_on("probe")
    monkeypatch.setattr(paths, "TAGGER", tmp_path / "tagger")
    artifacts.write_json(paths.TAGGER / "tagger.json", {"file": "pos.pt"})
    source = tmp_path / "a.csv"
    source.write_text("words,tags\nBad Film zany zany,ADJ NOUN ADJ ADJ\n")
    monkeypatch.setattr(
        predicting,
        "project_tagger",
        lambda: lambda texts: [["ADJ"] * len(words) for words in texts],
    )

    def note(source: Path, vocabulary: dict) -> str:
        torch.save({"vocab": vocabulary}, paths.TAGGER / "pos.pt")
        predicting.predict_file(folder, source)
        return capsys.readouterr().err.splitlines()[-1]

    known = {"word": {"_unit2id": {"bad": 4, "film": 5}, "lower": True, "cutoff": cutoff}}
    untagged = tmp_path / "b.csv"
    untagged.write_text("words\nBad Film zany zany\n")
    assert "tagger's training data" not in note(source, known)

    assert f"2 (50.0%) {rare} in the tagger's training data" in note(untagged, known)
    assert "tagger's training data" not in note(untagged, {"char": {}})


# export and verify


def test_export_refuses_a_folder_that_holds_something(folder, tmp_path) -> None:
    assert "is not empty" in refused(["export", folder, folder])
    assert "nowhere does not exist" in refused(["export", "nowhere", tmp_path / "new"])


@pytest.mark.parametrize("checkpoint", ["last", "best"])
def test_an_export_has_a_card_that_says_which_checkpoint_it_holds(
    checkpoint, folder, trained_on, tmp_path, monkeypatch
) -> None:
    summary = {
        "recipe": "probe", "train_sentences": 4000, "steps": 1250, "checkpoint": checkpoint,
        "checkpoint_step": 1000, "selection_accuracy": 0.875, "parameters": 12345,
    }  # fmt: skip
    trained_on("probe", mode="hard", seed=13, summary=summary)
    monkeypatch.setattr(paths, "TABLES", tmp_path / "tables")
    common = {"arm": "hard", "mode": "hard", "split": "validation"}
    write_table(
        paths.TABLES / "runs.csv",
        pd.DataFrame(
            [{**common, "seed": seed, "n": 80, "accuracy": 0.8, "wilson_low": 0.7,
              "wilson_high": 0.9} for seed in (13, 42)]
        ),
    )  # fmt: skip
    write_table(
        paths.TABLES / "results.csv",
        pd.DataFrame([{**common, "seeds": 2, "accuracy_mean": 0.8125, "prediction_low": 0.75,
                       "prediction_high": 0.875}]),
    )  # fmt: skip
    exported = ggsa.export(folder, tmp_path / "exported")
    card = (exported / "README.md").read_text()
    assert ("of step 1,000, the best" in card) == (checkpoint == "best")
    assert ("The checkpoint is the last one." in card) == (checkpoint == "last")
    assert card.count("| validation | 80 |") == 1
    assert "0.8125 over two seeds" in card or "0.8125 over 2 seeds" in card
    assert "SST-2" not in card and "paper" not in card.lower() and "arxiv" not in card.lower()
    assert not re.search(r"^- .*\*\*", card, re.M), "no sentence is glued to a list"
    modes = {path.stat().st_mode for path in exported.iterdir() if path.is_file()}
    assert len(modes) == 1, "every file has the user's permissions"
    assert "Trained on 4,000 of the\n60 rows of its train split" in card
    assert (
        "Source of the tags: a stand-in." in card
        and "- The tagger is a stand-in, not Stanza's" in card
    )
    assert "model type is `ggsa_bert`" in card
    model = ggsa.load(folder)
    assert ggsa.predict(WORDS, exported, TAGGED) == model.predict(WORDS, TAGGED)
    for block in re.findall("```python\n(.*?)```", card, re.DOTALL):
        names: dict = {}
        exec(block.replace("FOLDER", str(exported)), names)
        assert type(names["model"]) in (ggsa.Classifier, type(model.model))
    found = explaining.explain("bad film", exported, ("ADJ", "NOUN")).note
    assert "trained on the probe corpus" in found and "stand-in" in found
    assert "Of 2 words of the input, 0 (0.0%) have a piece that is [UNK]." in found


def test_a_mode_that_every_seed_scores_the_same_has_no_interval_in_its_card() -> None:
    row = {"mode": "hard", "split": "validation", "seeds": 3, "accuracy_mean": 1.0}
    same = pd.DataFrame([{**row, "prediction_low": 1.0, "prediction_high": 1.0}])
    text = exporting._over_seeds(same, "hard")
    assert text == "1.0000 over 3 seeds, the same with every seed"


def test_a_run_on_other_data_is_not_exported(folder, trained_on, tmp_path) -> None:
    trained_on("probe", data_sha256="of another corpus")
    assert "was trained on other data" in refused(["export", folder, tmp_path / "new"])
    assert not (tmp_path / "new").exists()


def test_verify_outside_the_repository_says_where_to_run(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "Run from the root of the repository" in refused(["verify"])


def test_a_taggers_own_tags_are_mapped_as_the_tag_stage_maps_them(monkeypatch) -> None:
    monkeypatch.setattr(tagger, "tag_sentences", lambda _, parts: [["ART", "NN"] for _ in parts])
    mapping = {"ART": "DET", "NN": "NOUN"}
    assert tagger.tag_texts(None, [("the", "film"), ("a", "plot")], mapping) == [
        ["DET", "NOUN"],
        ["DET", "NOUN"],
    ]
    with pytest.raises(UserError, match=r"tagger\.mapping: .*not all universal: ART .2 words"):
        tagger.tag_texts(None, [("the", "film"), ("a", "plot")], {"NN": "NOUN"})
