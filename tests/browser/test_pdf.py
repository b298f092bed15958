"""`make pdf`: a page printed by a real browser."""

import shutil

import pytest

from ggsa.report import pdf
from ggsa.workspace.errors import UserError

SHEETS = 9


@pytest.fixture
def page(tmp_path):
    """A page of `SHEETS` sheets."""
    breaks = "<h1 style='break-before: page'>Next</h1>" * (SHEETS - 1)
    path = tmp_path / "page.html"
    path.write_text(f"<!DOCTYPE html><title>Page</title><h1>First</h1>{breaks}")
    return path


@pytest.mark.skipif(not any(map(shutil.which, pdf.BROWSERS)), reason="no Chromium on PATH")
def test_a_page_of_any_length_is_printed_and_its_sheets_are_counted(page, tmp_path):
    target = tmp_path / "new/page.pdf"
    assert pdf.print_page(page, target) == SHEETS
    assert target.read_bytes().startswith(b"%PDF")
    assert list(target.parent.iterdir()) == [target]


def test_without_a_browser_one_paragraph_says_what_to_install(page, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("BROWSER", raising=False)
    with pytest.raises(UserError, match=r"chromium-browser, google-chrome.*\$BROWSER") as error:
        pdf.print_page(page, tmp_path / "page.pdf")
    assert "\n" not in str(error.value)


def test_a_browser_that_prints_nothing_leaves_the_last_pdf(page, tmp_path, monkeypatch):
    monkeypatch.setenv("BROWSER", shutil.which("false"))
    monkeypatch.setenv("PATH", str(tmp_path))
    target = tmp_path / "page.pdf"
    target.write_text("before")
    with pytest.raises(UserError, match=r"false did not print .*page\.html \(exit status 1\)"):
        pdf.print_page(page, target)
    assert target.read_text() == "before"


def test_a_page_that_does_not_exist_raises_an_error_that_names_it(tmp_path):
    with pytest.raises(UserError, match=r"absent\.html does not exist"):
        pdf.print_page(tmp_path / "absent.html", tmp_path / "page.pdf")


@pytest.mark.skipif(not any(map(shutil.which, pdf.BROWSERS)), reason="no Chromium on PATH")
def test_the_article_takes_at_most_eight_sheets(pages, tmp_path):
    assert pdf.print_page(pages["article"], tmp_path / "article.pdf") <= 8
