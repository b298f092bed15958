"""The first screen: answer and claims say what the tables say, and nothing unpublished."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from finished_run import write_answers, write_archive, write_run, write_study
from matplotlib import pyplot as plt

from ggsa.patterns.modes import MODES
from ggsa.report import answer, claims, style
from ggsa.training import studies
from ggsa.workspace import paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import write_table

ROOT = Path(__file__).parents[2]
SST2 = {"is_sst2": True}
NUMBERS = {
    ("gate", "full"): {"difference_points": 6.5, "low_points": 5.0, "high_points": 8.0},
    ("equivalence", "hard"): {
        "difference_points": -5.75, "low_points": -6.5, "high_points": -5.0,
    },
    ("share", "hard"): {
        "difference_points": -5.75, "low_points": -6.75, "high_points": -4.75,
        "share": 0.12, "share_low": 0.05, "share_high": 0.19,
    },
    ("difference", "hard", "complement"): {
        "difference_points": 1.2, "low_points": 0.5, "high_points": 1.9,
        "fresh_difference_points": 0.3,
    },
}  # fmt: skip


def decided(study: str) -> dict[tuple, dict]:
    """What the declared questions of a study are answered with: the verdicts that were expected."""
    answers = {
        tuple(question)[1:]: {"verdict": verdict}
        for question, verdict in answer.EXPECTED.items()
        if question.study == study
    }
    for key, numbers in NUMBERS.items() if study == "pretrained" else ():
        for question in answers:
            if question[: len(key)] == key:
                answers[question] = answers[question] | numbers
    return answers


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run of the paper's modes and diagonal; returns its tables."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "studies", "studies")
    write_run(Path(), modes=("full", "hard", "soft", "diagonal"))
    verdicts = pd.read_csv(paths.TABLES / "verdicts.csv")
    gate = {**verdicts.iloc[0], "kind": "gate", "arm": "full", "reference": "diagonal"}
    gate |= {"difference_points": 0.16, "low_points": -0.3, "high_points": 0.62, "level": 0.95}
    gate |= {"verdict": "no headroom shown"}
    table = pd.DataFrame([gate, *verdicts.to_dict("records")])
    write_table(paths.TABLES / "verdicts.csv", table)
    return paths.TABLES


@pytest.fixture
def everything(run: Path) -> Path:
    """The same, with every study published that the answer rests on."""
    for study in ("pretrained", "adapted", "defects"):
        write_answers(Path(), study, "sst2", decided(study))
    write_answers(Path(), "controls", "probe", decided("generated"))
    write_study(Path(), "controls", "sst2", {"full": "full", "random": "random"}, (7, 13, 42))
    write_archive(Path(), "long", "imdb", ("full", "hard"))
    write_table(paths.BENCHMARK / "results.csv", pd.DataFrame({"benchmark": ["attention"]}))
    measured = {"case": "attention", "peer": "cuDNN", "direction": "forward and backward"}
    measured["ours"] = answer.ON_GPU
    ratios = {32768: 0.7, 512: 1.4, 2048: 1.2}
    rows = [{**measured, "length": length, "ratio": ratio} for length, ratio in ratios.items()]
    write_table(paths.BENCHMARK / "gpu.csv", pd.DataFrame(rows))
    return run


def test_the_answer_holds_the_numbers_of_the_tables(everything: Path) -> None:
    scratch, kept, grammar, saved = (part.text for part in answer.paragraphs(everything, SST2))
    assert "the paper, with one seed, reports 0.8200, 0.8200 and 0.8165" in scratch
    assert "worth 0.16 points (95% interval −0.30 to 0.62)" in scratch
    assert "worth 6.50 points (5.00 to 8.00)" in kept
    assert "Hard loses 5.75 points (4.75 to 6.75) and keeps 12% (5% to 19%)" in kept
    assert "hard reaches 0.8000 and full 0.8000 on validation" in kept
    assert (
        "beats an equal number of the pairs that it blocks by 1.20 points (0.50 to 1.90)" in grammar
    )
    assert "these leads are only 0.30 and" in grammar
    assert "takes 10% less time" in saved and "At 2,048 word pieces" in saved
    assert "saves no time up to 2,048 word pieces; at 32,768 it takes 0.70 times" in saved


@pytest.mark.parametrize("question", answer.EXPECTED, ids=" ".join)
def test_nothing_is_published_if_a_verdict_is_not_the_one_that_was_written_about(
    everything: Path, question: answer.Asked
) -> None:
    folder = everything if question.study == "core" else answer._tables(question.study)
    verdicts = pd.read_csv(folder / "verdicts.csv")
    chosen = (verdicts[["kind", "arm", "reference"]] == list(question[1:])).all(axis=1)
    verdicts.loc[chosen, "verdict"] = "another"
    write_table(folder / "verdicts.csv", verdicts)
    with pytest.raises(UserError, match=r"says “another”.*Nothing was published"):
        answer.paragraphs(everything, SST2)


def test_a_question_that_is_no_longer_declared_is_an_error(everything: Path) -> None:
    file = answer._tables("adapted") / "verdicts.csv"
    verdicts = pd.read_csv(file)
    write_table(file, verdicts[verdicts["kind"] != "share"])
    with pytest.raises(UserError, match="study adapted has no question of kind share"):
        answer.paragraphs(everything, SST2)


def test_another_corpus_or_an_unpublished_study_has_no_answer(everything: Path) -> None:
    assert answer.paragraphs(everything, {"is_sst2": False}) == []
    shutil.rmtree(studies.results("adapted", "sst2"))
    assert answer.paragraphs(everything, SST2) == []


def test_the_claims_of_a_run_are_four_rows_with_n_and_seeds(run: Path) -> None:
    table = claims.run_claims(run).set_index("claim")
    assert table.index.tolist() == ["C1 to C3", "C4", "C5", "C6"]
    assert table["ours (interval)"]["C1 to C3"].splitlines() == 3 * [
        "0.8119 (0.7990 to 0.8251, next seed)"
    ]
    assert table["n × seeds"]["C1 to C3"] == "872 × 3"
    assert table["n × seeds"]["C4"] == "2,693 × 3" and table["detectable (pp)"]["C4"] == "1.31"
    assert set(table["command"]) == {"make repro"}


def test_published_claims_have_a_row_per_labeled_question_and_one_on_speed(run: Path) -> None:
    write_answers(Path(), "pretrained", "sst2", decided("pretrained"))
    write_archive(Path(), "long", "imdb", ("full", "hard"))
    table = claims.published_claims(run).set_index("claim")
    assert table.index.tolist() == [
        *("C1 to C3", "C4", "C5", "C6", "gate, pretrained"),
        *("P1", "P6", "P2", "P3", "P4", "P5", "P7", "P8", "speed"),
    ]
    first = table.loc["P1"]
    assert first["ours (interval)"].splitlines() == [
        "hard − full −5.75 pp (−6.50 to −5.00, 90%)", "share 12% (5% to 19%, 95%)"
    ]  # fmt: skip
    assert first["verdict"].splitlines() == ["worse by more than 1.5 pp", "less than 80 %"]
    assert (first["n × seeds"], first["minutes"]) == ("2,693 × 5", "60")
    assert first["command"] == "make study NAME=pretrained"
    assert table["ours (interval)"]["speed"].startswith("hard takes 90% of the time of full (80.0%")


@pytest.mark.parametrize("mode", [*MODES, "unknown"])
def test_every_mode_can_be_drawn_with_error_bars(mode: str) -> None:
    drawn, axes = plt.subplots()
    axes.errorbar(0, 0, xerr=1, **style.dots(mode))
    plt.close(drawn)
