"""The page and the card as text: safe, complete, the same every time."""

import html
import json
import re
from dataclasses import replace

import pytest
from jinja2.exceptions import UndefinedError
from markupsafe import escape

from job.report import words
from job.report.card import write_card
from job.report.page import write_report
from job.report.palette import DARK, LIGHT
from tests.report.made_up import HOSTILE, facts

MEGABYTE = 1 << 20


def summary_with(**changes):
    made = facts()
    return replace(made, summary={**made.summary, **changes})


def data_of(page: str) -> dict:
    (found,) = re.findall(
        r'<script type="application/json" id="report-data">(.*?)</script>', page
    )
    return json.loads(found)


@pytest.mark.parametrize("kind", ["text", "image", "sequence"])
def test_a_page_is_one_file_of_the_same_bytes_each_time(kind):
    first, second = (write_report(facts(kind)) for _ in range(2))
    assert first == second
    assert len(first) < 5 * MEGABYTE
    page = first.decode()
    # Bokeh's script names addresses of its documentation; what loads something is an element.
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)""", own)
    assert "@import" not in own
    assert "url(" not in own


def test_what_users_wrote_stays_text():
    made = summary_with(run=HOSTILE, advice=[HOSTILE], threshold_target=HOSTILE)
    made = replace(
        made,
        config={**made.config, "data": {"train": HOSTILE}},
        bad_rows={HOSTILE: 1},
        lineage=replace(made.lineage, uri=HOSTILE, versions={HOSTILE: HOSTILE}),
    )
    page = write_report(made).decode()
    assert page.count("<script") == page.count("</script>") == 3
    assert "onerror=alert" not in re.sub(r"&lt;img src=x onerror=alert", "", page)
    assert "{{7*7}}" in page  # not computed
    assert "alert(1)" not in re.findall(r"script-src ([^;]*);", page)[0]


def test_only_the_two_scripts_of_the_page_may_run():
    page = write_report(facts()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.strip().split(" ", 1) for rule in html.unescape(policy).split(";"))
    assert rules["default-src"] == "'none'"
    assert re.fullmatch(r"('sha256-[\w+/=]{44}' ?){2}", rules["script-src"])


def test_the_numbers_of_the_slider_are_those_of_the_summary():
    made = facts()
    assert data_of(write_report(made).decode())["curve"] == made.summary["curve"]


def test_every_colour_of_a_chart_is_one_of_the_palette():
    assert set(LIGHT) == set(DARK)
    charts = json.dumps(data_of(write_report(facts("sequence")).decode())["charts"])
    named = set(re.findall(r'"\w+_color=(\w+)"', charts))
    assert named
    assert named <= set(LIGHT)


def test_intervals_slices_and_advice_are_shown_once_they_are_known():
    metrics = facts().summary["metrics"]
    bounds = {"roc_auc": [0.8765, 0.9432]}
    made = summary_with(
        threshold_interval=[0.4321, 0.5678],
        threshold_target="precision >= 0.99",
        threshold_met=False,
        metrics={**metrics, "test": {**metrics["test"], "intervals": bounds}},
        advice=["Train longer."],
        slices=[
            {
                "name": "20 to 40",
                "group": "length",
                "is_worse": False,
                "num_pairs": 30,
                "num_positive": 10,
            }
            | {"metrics": {"roc_auc": 0.7123}, "intervals": {"roc_auc": [0.6, 0.8]}},
            {
                "name": "1 to 20",
                "group": "length",
                "is_worse": True,
                "num_pairs": 90,
                "num_positive": 50,
            }
            | {"metrics": {"roc_auc": 0.6456}, "intervals": {}},
        ],
    )
    page, card = write_report(made).decode(), write_card(made).decode()
    for text in ("0.8765", "0.9432", "0.4321", "0.5678", "0.7123", "Train longer", "not met"):
        assert text in page
    assert page.index("length 1 to 20") < page.index("length 20 to 40")  # the worst first
    for text in ("0.8765", "0.9432", "0.4321", "0.6456", "Train longer", "does not meet"):
        assert text in card


@pytest.mark.parametrize("group", ["class", "group"])
def test_a_slice_has_the_name_of_its_class_or_group_as_text_cut_if_it_is_long(group):
    part = {"group": group, "is_worse": True, "num_pairs": 90, "num_positive": 50}
    part |= {"metrics": {"balanced_accuracy": 0.6}, "intervals": {}}
    names = ["4", HOSTILE, "\x1b[2J", "long " * 200]
    made = summary_with(slices=[part | {"name": name} for name in names])
    page, card = write_report(made).decode(), write_card(made).decode()
    titles = [row.title for row in words.slice_rows(made.summary)]
    assert titles[0] == f"{group} '4'"
    assert all(title.isprintable() and len(title) < 70 for title in titles)
    assert all(str(escape(title)) in page for title in titles)
    assert page.count("<script") == 3
    assert f"- {group} '4': 90 pairs" in card
    assert not re.search(r"(?<!\\)<script", card)


@pytest.mark.parametrize(
    ("model", "interval", "tone"),
    [
        (0.9, None, "good"),
        (0.8, None, "poor"),
        (0.7, None, "poor"),
        (0.9, [0.85, 0.95], "good"),
        (0.9, [0.79, 0.95], "poor"),
    ],
)
def test_the_verdict_compares_with_the_best_baseline(model, interval, tone):
    metrics = facts().summary["metrics"]
    intervals = {"roc_auc": interval} if interval else {}
    test = {**metrics["test"], "roc_auc": model, "intervals": intervals}
    made = summary_with(metrics={**metrics, "test": test})
    assert words.verdict(made).tone == tone
    assert words.verdict(made).title in write_report(made).decode()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_are_those_people_say(seconds, text):
    assert words.duration(seconds) == text


def test_a_page_without_history_mistakes_or_classes_is_whole():
    made = replace(facts(), history=[], wrong=[], num_wrong={"false_match": 0}, restarts=[])
    assert "No pair of the test set is decided wrongly" in write_report(made).decode()


def test_the_card_is_markdown_that_names_use_data_quality_limits():
    card = write_card(facts()).decode()
    for title in ("Intended use", "Data", "Quality", "Threshold", "Limits", "Use", "Origin"):
        assert f"\n## {title}\n" in card
    assert "\n\n\n" not in card
    assert "| ROC-AUC | 0.9100 | 0.9100 |" in card
    tables = re.findall(r"(?:^\|.*\|\n)+", card, re.M)
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("platt", "`probability` is calibrated on validation"),
        ("isotonic", "`probability` is calibrated on validation"),
        ("none", "Neither `score` nor `probability` is a calibrated probability"),
    ],
)
def test_the_card_says_whether_probabilities_are_calibrated(kind, text):
    calibration = {"kind": kind, "logit": [], "probability": []}
    card = write_card(summary_with(calibration=calibration)).decode()
    assert text in card
    assert card.count("`probability`") == 1


@pytest.mark.parametrize(
    "key",
    [
        "advice",
        "best",
        "calibration",
        "curve",
        "slices",
        "threshold_interval",
        "threshold_met",
        "threshold_target",
    ],
)
def test_a_summary_without_a_key_is_no_report(key):
    made = facts()
    known = {name: value for name, value in made.summary.items() if name != key}
    # The page does not read the calibration, whose chart it draws.
    write = write_card if key == "calibration" else write_report
    with pytest.raises((KeyError, UndefinedError), match=key):
        write(replace(made, summary=known))


def test_a_card_shows_hostile_names_as_text():
    card = write_card(summary_with(run="a](http://x)\n# b `c` <b>|")).decode()
    assert card.splitlines()[0] == (r"# Model card: a\]\(http://x\) \# b \`c\` \<b\>\|")
