"""The report of a text, an image and a sequence run in a real browser."""

import json
import os
from pathlib import Path

import pytest

from job.cli import main
from tests.forked import run_forked
from tests.report.browser import PROGRAM, Browser, Page
from tests.tiny_kinds import make_project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        PROGRAM is None and not os.environ.get("CI"),
        reason="chromium is not installed (Debian package `chromium`)",
    ),
]

FAST = ("training.epochs=2", "export.enabled=false", "evaluation.retrieval_queries=0")
MOST_BYTES = 5 << 20
COUNTS = ("true_positives", "false_positives", "false_negatives", "true_negatives")


@pytest.fixture(scope="module")
def browser():
    with Browser() as one:
        yield one


def trained(folder: Path, kind: str) -> Path:
    config = make_project(folder, kind)
    overrides = [word for one in FAST for word in ("--set", one)]
    run_forked(main, ["train", str(config), *overrides])
    return folder / "runs" / "tiny"


def shown(page: Page) -> list[int]:
    """The confusion matrix of the page."""
    texts = page.evaluate(
        f"{json.dumps(COUNTS)}.map((id) => document.getElementById(id).value)"
    )
    return [int(text.replace(",", "")) for text in texts]


def cost(page: Page) -> float:
    """The cost on test that the page shows."""
    text = page.evaluate("document.getElementById('test-cost').value")
    return float(text.replace(",", ""))


def move(page: Page, at: int) -> None:
    page.evaluate(
        "(() => { const slider = document.getElementById('threshold');"
        f" slider.value = {at}; slider.dispatchEvent(new Event('input')); }})()"
    )


@pytest.mark.parametrize("kind", ["texts", "pictures", "sequences"])
def test_a_report_works_without_a_network_and_shows_the_numbers_of_the_summary(
    browser, tmp_path, kind
):
    run = trained(tmp_path, kind)
    report, summary = run / "report.html", json.loads((run / "summary.json").read_text())
    assert report.stat().st_size < MOST_BYTES
    curve = summary["curve"]
    page = browser.open(report)

    places = page.evaluate("document.querySelectorAll('[data-chart]').length")
    drawn = page.evaluate(
        "[...document.querySelectorAll('[data-chart]')].filter((place) =>"
        " place.firstElementChild?.getBoundingClientRect().height > 50).length"
    )
    assert drawn == places >= 7

    test = curve["test"]
    chosen = curve["threshold"].index(summary["threshold"])
    assert page.evaluate("Number(document.getElementById('threshold').value)") == chosen
    lines = set()
    for at in {0, chosen, len(curve["threshold"]) - 1, len(curve["threshold"]) // 3}:
        move(page, at)
        true, false = test["true_positives"][at], test["false_positives"][at]
        rest = [test["num_positive"] - true, test["num_negative"] - false]
        assert shown(page) == [true, false, *rest]
        precision = page.evaluate("document.getElementById('test-precision').value")
        if true + false:
            assert float(precision.removesuffix(" %")) == pytest.approx(
                100 * true / (true + false), abs=0.06
            )
        lines.add(
            page.evaluate(
                "Bokeh.documents.map((one) => one.get_model_by_name("
                "'threshold')).find(Boolean).location"
            )
        )
    assert lines <= set(curve["threshold"])
    assert len(lines) > 1

    for width, scheme in ((400, "light"), (400, "dark"), (1600, "dark")):
        page.resize(width, 900, scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    axis = "Bokeh.documents[0].roots()[0].below[0].major_label_text_color"
    dark = page.evaluate(axis)
    page.resize(1280, 900, scheme="light")
    assert page.evaluate(axis) != dark  # charts follow the scheme without loading again

    assert page.complaints == []
    assert page.requests == []


def test_the_costs_and_the_share_in_use_change_what_a_threshold_costs(browser, tmp_path):
    from job.report.page import write_report
    from tests.report.made_up import facts

    path = tmp_path / "report.html"
    made = facts()
    path.write_bytes(write_report(made))
    page = browser.open(path)

    def enter(field, value):
        page.evaluate(
            f"(() => {{ const field = document.getElementById('{field}');"
            f" field.value = '{value}'; field.dispatchEvent(new Event('input')); }})()"
        )
        return cost(page)

    test, at = made.summary["curve"]["test"], made.summary["curve"]["threshold"].index(0.5)
    missed = test["num_positive"] - test["true_positives"][at]
    false, pairs = test["false_positives"][at], test["num_positive"] + test["num_negative"]
    assert enter("cost-false", 10) == pytest.approx(
        1000 * (10 * false + missed) / pairs, abs=0.06
    )
    assert enter("share", 1) == pytest.approx(
        1000
        * (0.99 * 10 * false / test["num_negative"] + 0.01 * missed / test["num_positive"]),
        abs=0.06,
    )
    page.evaluate("document.getElementById('cheapest').click()")
    assert cost(page) < 1000 * (10 * false + missed) / pairs
    assert page.complaints == []


def test_the_browser_reports_a_request_and_a_script_that_a_page_tries(browser, tmp_path):
    # What the tests above rely on: they would notice.
    path = tmp_path / "bad.html"
    path.write_text(
        "<html data-ready=yes><img src='http://example.invalid/x.png'>"
        "<script>console.error('no')</script>"
    )
    page = browser.open(path)
    page.evaluate("new Promise((done) => setTimeout(done, 200))")
    assert page.requests == ["http://example.invalid/x.png"]
    assert len(page.complaints) >= 2
