"""The YAML that is written: values read back equal, reasons are comments."""

import yaml

from job.init.rules import Choice
from job.init.write import write_config

CHOICES = [
    Choice("training.loss", {"kind": "circle", "gamma": 64.0}, "because of the circle"),
    Choice("run.name", "a", ""),
    Choice("data.columns", {"left": "no", "right": "a: b # c"}, "x" * 200 + "\nkey: value"),
    Choice("training.bucket_window_batches", None, "automatic"),
]


def test_values_read_back_equal_in_the_order_of_the_sections():
    text = write_config(CHOICES, title=["what it is"], schema="s.json")
    found = yaml.safe_load(text)
    assert found == {
        "run": {"name": "a"},
        "data": {"columns": {"left": "no", "right": "a: b # c"}},
        "training": {
            "loss": {"kind": "circle", "gamma": 64.0},
            "bucket_window_batches": None,
        },
    }
    assert list(found) == ["run", "data", "training"]
    assert text.startswith("# yaml-language-server: $schema=s.json\n# what it is\n")


def test_a_reason_stands_above_its_value_and_cannot_leave_the_comment():
    lines = write_config(CHOICES, title=[], schema="").splitlines()
    at = lines.index("  loss:")
    assert lines[at - 1] == "  # because of the circle"
    assert not any(line.startswith("key:") for line in lines)
    assert any("\\nkey:" in line for line in lines)
