"""What counts as a word, and what no program may end in a traceback for: odd characters."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from finished_run import write_run
from small_models import run, table, tokenizer

import ggsa
from ggsa.assets import rows, sentences
from ggsa.workspace import config, terminal, words
from ggsa.workspace.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
EMPTY = ("\u200b", "\ufe0f", "\x96", "\u0301", "\ufffd", "\ue000", "\u200d\ufe0f", "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return run(tmp_path_factory.mktemp("run"), table())


@pytest.mark.parametrize("character", ["é", "🥰", "…", "文", "\u0378"])
def test_what_is_seen_is_a_word(character: str) -> None:
    assert words.is_word(character)


def test_every_word_has_a_word_piece(tmp_path: Path) -> None:
    normalized = tokenizer(tmp_path).backend_tokenizer.normalizer.normalize_str
    characters = filter(words.is_word, map(chr, range(sys.maxunicode + 1)))
    assert not [hex(ord(each)) for each in characters if not normalized(each).strip()]


@pytest.mark.parametrize("word", EMPTY)
def test_a_word_without_a_piece_is_an_empty_word_wherever_words_come_in(
    word: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not words.is_word(word)
    tags = ("ADJ", "NOUN")
    explanation = ggsa.explain(f"bad {word} film", folder, tags)
    assert explanation.tokens == ("[CLS]", "bad", "film", "[SEP]")
    assert np.isfinite(explanation.weights).all()
    assert ggsa.predict([f"bad {word} film"], folder, [tags]) == ggsa.predict(
        ["bad film"], folder, [tags]
    )
    model = ggsa.load(folder)
    for call in (
        lambda text, tags: model.predict([text], tags),
        lambda text, tags: model.attention(text, tags and tags[0]),
        lambda text, tags: ggsa.inputs(model.tokenizer, [text], tags),
    ):
        with pytest.raises(UserError, match="at least one word"):
            call(f" {word} ", None)
        with pytest.raises(UserError, match=r"word 1 is .* no character that becomes"):
            call(["bad", word], [["ADJ", "NOUN"]])
    for column, read in (("text", rows.text_words), ("words", rows.given_words)):
        assert read(rows.Row("a.csv, row 1", {column: f"bad {word} film"}), column) == (
            "bad",
            "film",
        )
        with pytest.raises(UserError, match=r"row 1: the column .* is empty"):
            read(rows.Row("a.csv, row 1", {column: word}), column)
    with pytest.raises(UserError, match="row 1: expected words"):
        rows.given_words(rows.Row("a.jsonl, row 1", {"words": ["bad", word]}), "words")
    assert sentences.examples([f"bad {word} film"])[0].words == ("bad", "film")
    monkeypatch.chdir(ROOT)
    with pytest.raises(UserError, match=r"corpus\.examples"):
        config.load(overrides={"corpus.examples": [word]})


def test_a_lone_surrogate_is_refused_wherever_text_comes_in(folder: Path, tmp_path: Path) -> None:
    lone = "bad\ud800"
    for text in (lone, ["film", lone]):
        with pytest.raises(UserError, match="invalid surrogate character"):
            ggsa.predict([text], folder, [["ADJ", "NOUN"]])
    with pytest.raises(UserError, match="invalid surrogate character"):
        ggsa.explain(lone, folder)
    cells = {"as json": json.dumps([lone])}
    with pytest.raises(UserError, match="row 1: invalid surrogate character"):
        rows.given_words(rows.Row("a.csv, row 1", cells), "as json")
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "fine", "other": [lone]}))
    with pytest.raises(UserError, match="row 1: invalid surrogate character"):
        list(rows.read_rows(tmp_path / "a.jsonl"))
    with pytest.raises(UserError, match="not UTF-8"):
        terminal.text_argument("dull\udce9")


def in_an_ascii_locale(cwd: Path, *arguments: str | bytes) -> bytes:
    """What a program prints where the locale is C and Python's UTF-8 mode is off."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, check=False,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": "", "LC_ALL": "C", "PYTHONUTF8": "0",
             "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_an_ascii_locale_escapes_what_it_cannot_print(folder: Path) -> None:
    explained = in_an_ascii_locale(
        ROOT, "-m", "ggsa", "explain", "--run", str(folder), "--tags", "ADJ NOUN", "bäd film"
    )
    assert rb"b\xe4d" in explained


def test_predictions_are_utf8_in_every_locale(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("wörds,tägs\nbäd,ADJ\n", encoding="utf-8")
    command = ["-m", "ggsa", "predict", "--run", str(folder), str(source)]
    out = in_an_ascii_locale(ROOT, *command, "--words", "wörds", "--tags", "tägs")
    assert out.decode("utf-8").splitlines()[1].startswith("bäd,ADJ,")


def test_the_summary_of_a_run_is_printed_in_an_ascii_locale(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    assert b"Report: " in in_an_ascii_locale(tmp_path, "-m", "ggsa.report.summary")


def test_every_program_accepts_any_character() -> None:
    programs = [
        path
        for path in (ROOT / "src/ggsa").rglob("*.py")
        if 'if __name__ == "__main__"' in path.read_text(encoding="utf-8")
    ]
    assert len(programs) > 3
    programs.remove(ROOT / "src/ggsa/__main__.py")  # it calls the command
    for path in (*programs, ROOT / "src/ggsa/cli/commands.py", ROOT / "stages/__init__.py"):
        assert "terminal.accept_any_character()" in path.read_text(encoding="utf-8"), path
