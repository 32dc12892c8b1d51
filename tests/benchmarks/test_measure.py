import json

import pytest

from benchmarks import run_all
from benchmarks.measure import Case, alternate, comparison_table, write_json


def test_sides_take_turns_in_an_order_that_is_reversed_from_round_to_round():
    calls = []

    def side(name):
        return lambda: calls.append(name) or float(len(calls))

    found = alternate({"a": side("a"), "b": side("b")}, rounds=3)
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert found == {"a": [1.0, 4.0, 5.0], "b": [2.0, 3.0, 6.0]}


@pytest.mark.parametrize(
    ("unit", "ours", "theirs", "ratio"),
    [
        ("pairs_per_second", 300.0, 200.0, 1.5),
        ("seconds", 10.0, 40.0, 4.0),
        ("seconds", None, 40.0, None),
        ("pairs_per_second", 300.0, None, None),
    ],
)
def test_a_ratio_says_how_many_times_better_ours_is(unit, ours, theirs, ratio):
    assert Case("any", unit, ours, {"peer": theirs}).ratio("peer") == ratio


def test_the_file_has_the_cases_and_the_machine_they_are_of(tmp_path):
    case = Case("one", "seconds", 2.0, {"keras_fit": 4.0}, {"rounds": [2.0]})
    write_json(tmp_path / "new" / "file.json", [case])
    content = json.loads((tmp_path / "new" / "file.json").read_text())
    assert content["cases"] == [
        {
            "case": "one",
            "unit": "seconds",
            "ours": 2.0,
            "peers": {"keras_fit": 4.0},
            "ratios": {"keras_fit": 2.0},
            "rounds": [2.0],
        }
    ]
    assert content["machine"]["cores"] >= 1
    assert {"python", "tensorflow", "keras"} <= set(content["versions"])


def test_a_case_without_a_peer_leaves_its_columns_empty():
    cases = [
        Case("speed", "pairs_per_second", 3000.0, {"a": 1500.0, "b": None}),
        Case("start", "seconds", 2.0, {}),
    ]
    header, speed, start = comparison_table(cases).splitlines()
    assert header.split() == ["case", "unit", "ours", "a", "ratio", "b", "ratio"]
    assert speed.split() == ["speed", "pairs_per_second", "3,000", "1,500", "2", "-", "-"]
    assert start.split() == ["start", "seconds", "2"]


def test_results_replace_those_between_the_marks_of_the_document():
    document = f"before\n{run_all.BEGIN}old\n{run_all.END}after\n"
    changed = run_all.with_results(document, "new")
    assert changed == f"before\n{run_all.BEGIN}\nnew\n{run_all.END}after\n"
    assert run_all.with_results(changed, "new") == changed


def test_a_document_without_marks_is_refused():
    with pytest.raises(ValueError, match="results begin"):
        run_all.with_results("no marks", "new")


def test_the_page_of_the_docs_has_the_marks():
    assert run_all.with_results(run_all.DOCS.read_text(encoding="utf-8"), "new")
