"""The first screen: sentences, claims and figure say what the tables say, and nothing unpublished."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from finished_run import write_answers, write_archive, write_run
from matplotlib import pyplot as plt

from ggsa.patterns.modes import MODES
from ggsa.report import answer, claims, style, wording
from ggsa.training import studies
from ggsa.workspace import paths
from ggsa.workspace.tables import write_table

ROOT = Path(__file__).parents[2]
SCRATCH = {"encoder": {"pretrained": False}}
BETTER = {"difference_points": 1.2, "low_points": 0.5, "high_points": 1.9, "verdict": "better"}
DECIDED = {
    ("gate", "full"): {"difference_points": 6.5, "low_points": 5.0, "high_points": 8.0},
    ("equivalence", "hard"): {
        "difference_points": -5.75, "low_points": -6.5, "high_points": -5.0,
        "verdict": "worse by more than 1.5 pp",
    },
    ("share", "hard"): {"share": 0.12, "share_low": 0.05, "share_high": 0.19},
    ("share", "window"): {"share": 0.61, "share_low": np.nan, "share_high": np.nan},
    ("difference", "hard", "complement"): BETTER,
    ("difference", "hard", "random"): BETTER,
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run of the paper's modes and diagonal; returns its tables."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "studies", "studies")
    write_run(Path(), modes=("full", "hard", "soft", "diagonal"))
    return paths.TABLES


def give_headroom(folder: Path, verdict: str) -> None:
    verdicts = pd.read_csv(folder / "verdicts.csv")
    gate = {**verdicts.iloc[0], "kind": "gate", "arm": "full", "reference": "diagonal"}
    gate |= {"difference_points": 0.16, "low_points": -0.3, "high_points": 0.62, "level": 0.95}
    table = pd.DataFrame([{**gate, "verdict": verdict}, *verdicts.to_dict("records")])
    write_table(folder / "verdicts.csv", table)


def test_a_run_alone_says_what_it_reached_and_what_is_saved(run: Path) -> None:
    said = answer.sentences(run, SCRATCH)
    assert said[0].startswith("For full, hard and soft attention the paper reports 0.8200, 0.8200")
    assert said[0].endswith("(mean of 3 seeds): each compatible.")
    assert said[-1].startswith("In theory hard skips") and "less time" not in said[-1]
    assert not any("pretrained encoder" in sentence for sentence in said)
    assert answer.figure(60) is None


def test_a_run_from_a_checkpoint_is_not_said_to_be_from_scratch(run: Path) -> None:
    give_headroom(run, "headroom shown")
    said = answer.sentences(run, {"encoder": {"pretrained": True, "checkpoint": "some/encoder"}})
    assert "trained with some/encoder, ours reach" in said[0]
    assert said[1].startswith("Trained with some/encoder")
    assert not any("scratch" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("verdict", "says"),
    [("no headroom shown", "That says little: from scratch"), ("headroom shown", "hard: ")],
)
def test_from_scratch_the_sentence_follows_the_verdict_on_headroom(
    run: Path, verdict: str, says: str
) -> None:
    give_headroom(run, verdict)
    sentence = answer.sentences(run, SCRATCH)[1]
    assert says in sentence
    assert "+0.16 points (95% interval −0.30 to +0.62)" in sentence
    assert ("a bag of words" in sentence) == (verdict != "headroom shown")


def test_of_models_that_did_not_learn_nothing_is_concluded(run: Path) -> None:
    give_headroom(run, "no verdict: full and diagonal did not learn")
    said = answer.sentences(run, SCRATCH)
    assert said[1] == (
        "Nothing follows from that about attention: full and diagonal did not learn."
    )
    assert not any("worth" in sentence or "lose" in sentence for sentence in said)


def test_a_mode_that_did_not_learn_is_named_in_the_abstract_and_has_no_published_value(
    run: Path,
) -> None:
    results = pd.read_csv(run / "results.csv", keep_default_na=False, na_values="")
    results["verdict"] = results["verdict"].fillna("")
    validation = results["split"] == "validation"
    results.loc[validation & results["mode"].isin(["hard", "diagonal"]), "verdict"] = (
        "did not learn"
    )
    claims_table = pd.DataFrame({"statement": [], "verdict": []}, dtype=str)
    said = wording.claim_verdicts(results, claims_table)
    assert "compatible for full and soft and hard and diagonal did not learn." in said
    write_table(run / "results.csv", results)
    first = answer.sentences(run, SCRATCH)[0]
    assert first.startswith("For full, hard and soft attention")
    assert first.endswith("compatible, did not learn and compatible.")


def test_everything_published_gives_six_sentences_with_the_numbers_of_the_tables(run: Path) -> None:
    give_headroom(run, "no headroom shown")
    write_answers(Path(), "pretrained", "sst2", DECIDED)
    gain = {"difference_points": 2.5, "low_points": 1.5, "high_points": 3.5, "verdict": "better"}
    write_answers(Path(), "adapted", "sst2", {("difference", "hard-adapted"): gain})
    write_archive(Path(), "long", "imdb", ("full", "hard"))
    said = answer.sentences(run, SCRATCH)
    assert len(said) == 6
    _, _, kept, adapted, grammar, saved = said
    assert "is worth +6.50 points (95% interval +5.00 to +8.00)" in kept
    assert "hard loses 5.75 points (90% interval 5.00 to 6.50)" in kept
    assert "worse by more than 1.5 pp" in kept and "keeps 12% (5% to 19%) of it" in kept
    assert "a window that allows as many pairs as hard keeps a share that is not estimable" in kept
    assert "hard changes by +2.50 points (95% interval +1.50 to +3.50) (better)" in adapted
    assert "+1.20 points from as many random pairs (better)" in grammar
    assert "grammar matters, and it is not shown to beat locality" in grammar
    assert grammar.endswith("so of these masks we recommend a window.")
    assert "a training step takes 10% less time" in saved and "2,048 pieces" in saved


def test_grammar_matters_only_if_hard_is_better_than_both_controls(run: Path) -> None:
    one = {key: value for key, value in DECIDED.items() if key[-1] != "random"}
    write_answers(Path(), "pretrained", "sst2", one)
    (sentence,) = [said for said in answer.sentences(run, SCRATCH) if "Among masks" in said]
    assert "grammar is not shown to matter" in sentence


def test_a_gate_that_is_not_shown_is_said_so(run: Path) -> None:
    gate = {("gate", "full"): {"verdict": "no headroom shown"}}
    write_answers(Path(), "pretrained", "sst2", {**DECIDED, **gate})
    (sentence,) = [said for said in answer.sentences(run, SCRATCH) if "pretrained encoder" in said]
    assert sentence.endswith("not shown to be more than nothing, so no mask is judged there.")


def test_the_figure_goes_from_diagonal_to_full_with_the_masks_of_one_density_together(
    run: Path,
) -> None:
    write_answers(Path(), "pretrained", "sst2", DECIDED)
    file = studies.results("pretrained", "sst2") / "tables/arms.csv"
    arms = pd.read_csv(file)
    density = {"full": 1.0, "soft": 1.0, "diagonal": 0.07, "hard_neighbors": 0.45}
    arms["density"] = arms["arm"].map(density).fillna(0.34)
    write_table(file, arms)
    drawn = answer.figure(60)
    axes = drawn.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[0] == "diagonal" and names[-1] == "full"
    shaded = [name for name in names if density.get(name, 0.34) == 0.34]
    first = names.index(shaded[0])
    assert names[first : first + len(shaded)] == shaded
    assert [text.get_text() for text in axes.texts] == [
        wording.percent(density.get(name, 0.34), 0) for name in names
    ]
    plt.close(drawn)


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
    write_answers(Path(), "pretrained", "sst2", DECIDED)
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
    assert first["verdict"].splitlines() == ["worse by more than 1.5 pp", "inconclusive"]
    assert (first["n × seeds"], first["minutes"]) == ("2,693 × 5", "60")
    assert first["command"] == "make study NAME=pretrained"
    assert table["ours (interval)"]["speed"].startswith("hard takes 90% of the time of full (80.0%")


@pytest.mark.parametrize("mode", [*MODES, "unknown"])
def test_every_mode_can_be_drawn_with_error_bars(mode: str) -> None:
    drawn, axes = plt.subplots()
    axes.errorbar(0, 0, xerr=1, **style.dots(mode))
    plt.close(drawn)
