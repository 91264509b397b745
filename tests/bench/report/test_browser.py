"""The page in a real browser: headless Chromium, driven by playwright, judged by axe-core.

Skipped where no Chromium is installed (``apt-get install chromium``); playwright's own download is not needed.
"""

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect, sync_playwright

from bench.report.page import page as html_of
from tests.bench.report.pages import HOSTILE, THIRD, hand_made, write
from tests.bench.samples import MODEL, TWIN

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PHONE: ViewportSize = {"width": 360, "height": 740}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PAPER: ViewportSize = {"width": 718, "height": 1000}
"""A4 in CSS pixels, without margins of 1 cm."""
WIDE: ViewportSize = {"width": 4000, "height": 1000}
"""No table is cut off here, so that the contrast of all its text can be judged."""

FUSION, THRESHOLDS, CELLS = "standard: fusion architectures", "Accuracy thresholds", "standard: cells"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser here: none of {', '.join(BROWSERS)} is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(html_of([hand_made()]), tmp_path_factory.mktemp("page"))


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page on a desktop; the test fails for anything the browser complains about."""
    shown = browser.new_page(viewport=DESKTOP)
    complaints: list[str] = []
    shown.on("console", lambda message: complaints.append(message.text))
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.on("request", lambda request: complaints.append(request.url) if request.url[:5] == "http:" else None)
    shown.goto(address)
    yield shown
    shown.close()
    assert complaints == []


def table(page: Page, caption: str) -> Locator:
    return page.locator("table", has=page.locator("caption", has_text=caption))


def column(page: Page, caption: str, number: int) -> list[str]:
    """The texts of a column in the visible rows."""
    return [
        row.locator("th, td").nth(number).inner_text()
        for row in table(page, caption).locator("tbody tr").all()
        if row.is_visible()
    ]


def heading(page: Page, caption: str, title: str) -> Locator:
    return table(page, caption).get_by_role("columnheader", name=title)


def test_numbers_sort_as_numbers_and_a_third_click_brings_back_the_order(page: Page) -> None:
    header = heading(page, FUSION, "parameters")
    original = column(page, FUSION, 0)
    assert original == [MODEL, TWIN, THIRD]
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "ascending")
    assert column(page, FUSION, 0) == [THIRD, TWIN, MODEL]
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "descending")
    assert column(page, FUSION, 0) == [MODEL, TWIN, THIRD]
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") is None
    assert column(page, FUSION, 0) == original


def test_only_the_column_that_was_sorted_last_says_so(page: Page) -> None:
    for title in ("model", "seeds", "parameters"):
        heading(page, FUSION, title).get_by_role("button").click()
    expect(table(page, FUSION).locator("[aria-sort]")).to_have_count(1)
    expect(heading(page, FUSION, "parameters")).to_have_attribute("aria-sort", "ascending")


def test_the_keyboard_sorts(page: Page) -> None:
    heading(page, FUSION, "model").get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert column(page, FUSION, 0) == sorted([MODEL, TWIN, THIRD])
    page.keyboard.press("Space")
    assert column(page, FUSION, 0) == sorted([MODEL, TWIN, THIRD], reverse=True)


def test_what_is_missing_stands_last_in_either_direction(page: Page) -> None:
    page.get_by_text("Every cell, with the command").first.click()
    losses = heading(page, CELLS, "best valid loss")
    losses.get_by_role("button").click()
    assert column(page, CELLS, 4) == ["0.0625", "0.2500", "0.2600", "0.5000", "0.5100", "-"]
    losses.get_by_role("button").click()
    assert column(page, CELLS, 4) == ["0.5100", "0.5000", "0.2600", "0.2500", "0.0625", "-"]


@pytest.mark.parametrize(
    "ascending",
    [
        ["99", "1,700", "824,201", "1,415,051", "-"],
        ["0.91 ± 0.02", "0.918 ± 0.001", "0.95", "1e+02", "none"],
        ["-0.25 ± 0.1", "-0.2", "1e-05", "+0.5", "+10 (9 to 11)"],
        ["0.25 / 10", "0.5 / 9", "- / 1", "equal", ""],
        ["< 0.001", "9 of 12", "10 of 12", "11", "-"],
    ],
    ids=["thousands", "intervals", "signs", "pairs and words", "shares"],
)
def test_cells_sort_by_their_first_number(page: Page, ascending: list[str]) -> None:
    """Other texts are put into a column, in another order, before it is sorted."""
    fill = "(body, texts) => texts.forEach((text, i) => { body.rows[i].cells[2].textContent = text; })"
    shuffled = [ascending[place] for place in (3, 0, 4, 2, 1)]
    table(page, THRESHOLDS).locator("tbody").evaluate(fill, shuffled)
    heading(page, THRESHOLDS, "valid accuracy").get_by_role("button").click()
    assert column(page, THRESHOLDS, 2) == ascending


def test_the_filter_hides_rows_of_all_tables_and_counts_the_others(page: Page) -> None:
    box, count = page.get_by_role("searchbox"), page.locator("#filter output")
    everything = int(count.inner_text().removesuffix(" rows"))
    box.fill("STRIDED late")
    assert column(page, FUSION, 0) == [MODEL]
    assert column(page, THRESHOLDS, 0) == [MODEL, MODEL]
    left, _, of = count.inner_text().removesuffix(" rows").partition(" of ")
    assert 0 < int(left) < int(of) == everything
    box.fill("no such row")
    expect(count).to_have_text(f"0 of {everything} rows")
    box.fill("")
    expect(count).to_have_text(f"{everything} rows")
    assert len(column(page, FUSION, 0)) == 3


def test_sorting_leaves_hidden_rows_hidden(page: Page) -> None:
    page.get_by_role("searchbox").fill("maxpool")
    heading(page, FUSION, "parameters").get_by_role("button").click()
    assert column(page, FUSION, 0) == [THIRD, TWIN]


def test_a_hostile_name_is_shown_and_not_run(page: Page) -> None:
    assert page.get_by_text(HOSTILE).first.is_visible()


def test_without_script_the_tables_are_there_and_nothing_pretends_to_work(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert column(page, FUSION, 0) == [MODEL, TWIN, THIRD]
    assert page.locator("thead button").count() == 0
    assert not page.get_by_role("searchbox").is_visible()
    context.close()


def test_a_phone_scrolls_tables_and_not_the_page(page: Page) -> None:
    page.set_viewport_size(PHONE)
    open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    scrolled = page.locator(".scroll", has=page.locator("caption", has_text=FUSION))
    assert scrolled.evaluate("box => box.scrollWidth > box.clientWidth")
    sticking_out = "all => all.filter((one) => one.getBoundingClientRect().right > innerWidth).length"
    assert (
        page.locator(".scroll, .samples img, figure, p, li, h1, h2, h3, form, dl > div").evaluate_all(sticking_out)
        == 0
    )


@pytest.mark.slow  # axe looks at every element
@pytest.mark.parametrize(
    ("viewport", "scheme"), [(PHONE, "light"), (WIDE, "light"), (WIDE, "dark")], ids=["phone", "light", "dark"]
)
def test_axe_finds_nothing(page: Page, viewport: ViewportSize, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(viewport)
    page.locator("main").evaluate("main => { main.style.maxWidth = 'none'; }")
    open_all(page)
    result = judged(page)
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in result["violations"]] == []
    assert len(result["passes"]) > 30
    if viewport == WIDE:
        assert [rule["id"] for rule in result["incomplete"]] == []


def test_axe_would_find_something(page: Page) -> None:
    page.evaluate("document.querySelector('img').removeAttribute('alt')")
    assert [rule["id"] for rule in judged(page)["violations"]] == ["image-alt"]


def open_all(page: Page) -> None:
    """Open whatever is folded away."""
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")


def judged(page: Page) -> dict[str, Any]:
    """What axe-core says of the page as it is shown."""
    package = find_spec("axe_playwright_python")
    assert package is not None
    assert package.origin is not None
    page.evaluate((Path(package.origin).parent / "axe.min.js").read_text(encoding="utf-8"))
    result: dict[str, Any] = page.evaluate("axe.run({ resultTypes: ['violations', 'incomplete'] })")
    return result


def test_paper_shows_all_there_is(page: Page) -> None:
    page.emulate_media(media="print")
    page.set_viewport_size(PAPER)
    open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") == PAPER["width"]
    assert not page.get_by_role("searchbox").is_visible()
    assert page.locator(".scroll").first.evaluate("box => getComputedStyle(box).overflowX") == "visible"
