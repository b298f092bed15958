"""`ggsa verify --predictions`: what it prints, and which files it refuses."""

from pathlib import Path

import pandas as pd
import pytest

from ggsa import cli
from ggsa.cli.verification import predictions, rederived
from ggsa.workspace import artifacts, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import read_table, write_table

ROOT = Path(__file__).parents[2]
ROWS = {"validation": 4, "test": 6}
FULL = {"validation": 0.5, "test": 0.7, "pooled": 0.62}
FILE = Path("predictions.csv")


@pytest.fixture(autouse=True)
def published(tmp_path, monkeypatch) -> pd.DataFrame:
    """The published sentences, whose labels alternate; full attention has three seeds."""
    monkeypatch.chdir(tmp_path)
    sentences = pd.DataFrame(
        {"split": split, "id": f"{split}-{row}", "label": row % 2}
        for split, number in ROWS.items()
        for row in range(number)
    )
    write_table(predictions.SENTENCES, sentences)
    results = [
        {"mode": mode, "split": split, "seeds": 3, "accuracy_mean": accuracy, "verdict": "any"}
        for mode, shift in (("hard", 0.1), ("full", 0.0))
        for split, accuracy in ((split, mean + shift) for split, mean in FULL.items())
    ]
    write_table(rederived.TABLES / "results.csv", pd.DataFrame(results))
    artifacts.write_text(rederived.PARAMS, "")
    artifacts.write_json(paths.PUBLISHED / "provenance.json", {"corpus": {"name": "sst2"}})
    return sentences


def scored(table: pd.DataFrame) -> predictions.Score:
    table[["id", "label"]].to_csv(FILE, index=False)
    return predictions.score(FILE)


def test_a_file_of_predictions_is_scored_against_the_published_labels(published, capsys):
    wrong = published.index == 0
    published.assign(label=published["label"].where(~wrong, 1))[["id", "label"]].to_csv(
        FILE, index=False
    )
    cli.main(["verify", "--predictions", str(FILE)])
    assert capsys.readouterr().out == (
        "validation and test together, n = 10\n"
        "accuracy: 0.9000 (Wilson 95% interval 0.5958 to 0.9821)\n"
        "minus full attention: +28.00 pp (published: 0.6200 on the same sentences, mean over 3 "
        "seeds)\n"
        "no verdict: one seed\n"
    )


@pytest.mark.parametrize("split", ROWS)
def test_a_file_of_one_split_is_compared_on_that_split_alone(published, split):
    score = scored(published[published["split"] == split])
    assert (score.split, score.rows, score.correct) == (split, ROWS[split], ROWS[split])
    assert score.difference_points == pytest.approx(100 * (1 - FULL[split]))
    assert str(score).startswith(f"{split}, n = {ROWS[split]}\n")


def test_the_order_of_rows_and_columns_and_names_for_numbers_change_nothing(published):
    named = published.assign(label=published["label"].map({0: "negative", 1: "positive"}))
    named.iloc[::-1][["label", "id"]].to_csv(FILE, index=False)
    assert predictions.score(FILE) == scored(published)


def test_published_predictions_have_their_published_accuracy(monkeypatch):
    predicted = read_table(
        ROOT / paths.PUBLISHED / "runs/hard-42/predictions.parquet", ("id", "split")
    )
    predicted = predicted[predicted["split"] == "test"]
    table = predicted.assign(label=[logits.argmax() for logits in predicted["logits"]])
    table[["id", "label"]].to_csv(FILE, index=False)
    file = FILE.resolve()
    monkeypatch.chdir(ROOT)
    runs = pd.read_csv(rederived.TABLES / "runs.csv")
    (run,) = runs.query("mode == 'hard' and seed == 42 and split == 'test'").itertuples()
    score = predictions.score(file)
    assert (score.rows, score.correct) == (run.n, run.correct)


def changed(table: pd.DataFrame, row: int, **values) -> pd.DataFrame:
    table = table.astype(object)
    table.loc[row, [*values]] = [*values.values()]
    return table


REFUSED = {
    "missing": (lambda rows: rows.drop([1, 5]), "lacks ids (2: test-1, validation-1). Expected "
                "the 4 of validation and the 6 of test"),
    "unknown": (lambda rows: changed(rows, 0, id="train-7"), "unknown ids (1: train-7)"),
    "duplicate": (lambda rows: pd.concat([rows, rows]), "duplicate ids (10: validation-0, "
                  "validation-1, validation-2, …)"),
    "label": (lambda rows: changed(rows, 2, label="good"), "unknown labels such as 'good' (1: "
              "validation-2). Expected one of: 0, 1, negative, positive"),
    "no label": (lambda rows: changed(rows, 2, label=""), "unknown labels such as '' (1: "),
}  # fmt: skip


@pytest.mark.parametrize("problem", REFUSED)
def test_wrong_ids_and_labels_raise_an_error_with_the_first_and_their_number(published, problem):
    change, message = REFUSED[problem]
    with pytest.raises(UserError) as error:
        scored(change(published))
    assert str(FILE) in str(error.value) and message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no rows"),
        ("id,label\n", "has no rows"),
        ("id,prediction\nvalidation-0,1\n", "expected a header with the columns id and label"),
        ("id,label,prediction\nvalidation-0,1,1\n", "columns id and label alone, got id, label,"),
        ("validation-0,1\nvalidation-1,0\n", "got validation-0, 1"),
        ("id,label\nvalidation-0\n", "row 1: expected 2 fields"),
        ("id,label\nvalidation-0,\0\n", "binary file"),
    ],
)
def test_an_empty_or_malformed_file_raises_an_error_that_names_it(content, message):
    FILE.write_text(content)
    with pytest.raises(UserError, match=message) as error:
        predictions.score(FILE)
    assert str(FILE) in str(error.value)


def test_a_file_that_does_not_exist_and_a_folder_without_a_published_run_raise_an_error():
    with pytest.raises(UserError, match=r"predictions\.csv does not exist"):
        predictions.score(FILE)
    rederived.PARAMS.unlink()
    with pytest.raises(UserError, match="Run from the root of the repository"):
        predictions.score(FILE)
