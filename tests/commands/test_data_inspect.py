import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from job.cli import main
from job.errors import ConfigError, DataError, ExitCode
from job.types import SPLITS
from tests.commands.parsed import run_parsed


def run(*arguments: str) -> ExitCode:
    return run_parsed("data", *arguments)


@pytest.fixture
def config(tmp_path: Path) -> str:
    rows = ["left,right,label"]
    for i in range(20):
        rows += [f"w{i:02},x{i:02},1", f"w{i:02},y{i:02},0"]
    rows += ["w00,x00,1", "a,b,2"]
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    (tmp_path / "test.csv").write_text("left,right,label\nw01,\u00e9,1\n\u00ea,b\u001b,0\n")
    text = "run: {name: r}\ndata: {train: pairs.csv, test: test.csv, max_bad_fraction: 0.1}\n"
    (tmp_path / "c.yaml").write_text(text)
    return str(tmp_path / "c.yaml")


PAGE = """\
63 distinct texts, fingerprint FINGERPRINT

pairs                     all  matches  non-matches  matching  items
train                      37       19           18     51.4%     54
validation                  4        2            2     50.0%      6
test                        2        1            1     50.0%      4

characters per item       min  median  90 %  99 %  max
train                       3       3     3     3    3
validation                  3       3     3     3    3
test                        1     1.5   2.7     3    3

train: 1.0 words per text; 13 different characters; letters: LATIN 100.0%
validation: 1.0 words per text; 7 different characters; letters: LATIN 100.0%
test: 1.0 words per text; 7 different characters; letters: LATIN 100.0%
unknown characters, validation: none
unknown characters, test: 4 in 3 of 4 items, 57.14% of all: '\\x1b' 'b' '\u00e9' '\u00ea'

repeated pairs: 1 in train
mirrored pairs: none
pairs with both labels: none
pairs of an item with itself: none
items in two splits: 1 in train and test
equal items under two names: none

ROC-AUC without training  validation   test
ngram cosine                   0.500  0.000
edit similarity                0.500  0.500
left item alone                0.500      -
right item alone               1.000      -

bad rows: 1 of 44 (1 label)
  pairs.csv line 43: label must be 0 or 1, got '2' in ['a', 'b', '2']

findings (with --strict: exit code 3)
  bad_rows: 1 of 44 rows; correct or remove them
  few_pairs (train): 19 matches and 18 non-matches; with fewer than 50 of either, scores are
    mostly chance; add pairs
  few_pairs (validation): 2 matches and 2 non-matches; with fewer than 50 of either, scores are
    mostly chance; add pairs
  few_pairs (test): 1 matches and 1 non-matches; with fewer than 50 of either, scores are mostly
    chance; add pairs
  shared_items (test): 1 of 4 items are in train too, which flatters scores; keep each in one
    split, or cut with data.split.by: identity
  unknown_tokens (test): 57.1% of the characters are unknown from training, more than 5%; train
    on texts like these
"""


def test_inspect_shows_a_page(config, capsys):
    assert run("inspect", config, "--set", "run.seed=0") == ExitCode.FINISHED
    lines = capsys.readouterr().out.splitlines(keepends=True)
    expected = PAGE.splitlines(keepends=True)
    assert lines[0].startswith(expected[0].split("FINGERPRINT")[0])
    assert "".join(lines[1:]) == "".join(expected[1:])


def test_inspect_gives_json(config, capsys):
    assert run("inspect", config, "--json") == ExitCode.FINISHED
    record = json.loads(capsys.readouterr().out)
    assert record["splits"]["test"]["num_pairs"] == 2
    assert record["splits"]["train"]["num_duplicates"] == 1
    assert record["quarantine"]["counts"] == {"label": 1}
    assert len(record["fingerprint"]) == 64
    assert record["baselines"]["test"] == {"ngram_cosine": 0.0, "edit_similarity": 0.5}
    assert record["findings"][0] == {
        "name": "bad_rows",
        "split": None,
        "detail": "1 of 44 rows; correct or remove them",
    }
    assert record["findings"][1]["split"] == "train"


def test_a_setting_on_the_command_line_counts(config):
    with pytest.raises(DataError, match=r"data\.train: 1 of the 42 rows"):
        run("inspect", config, "--set", "data.max_bad_fraction=0.0")
    with pytest.raises(ConfigError, match=r"data\.max_lenght"):
        run("inspect", config, "--set", "data.max_lenght=3")


def test_bad_rows_beyond_those_shown_are_counted(config, capsys):
    path = Path(config).parent / "pairs.csv"
    path.write_text(path.read_text() + "\na,b,2" * 11)
    run("inspect", config, "--set", "data.max_bad_fraction=0.5")
    assert "  and 2 more\n\n" in capsys.readouterr().out


def test_data_without_oddities_says_so(config, capsys):
    path = Path(config).parent / "pairs.csv"
    path.write_text(path.read_text().replace("\na,b,2", ""))
    run("inspect", config)
    assert "\nbad rows: none of 43\n" in capsys.readouterr().out


def test_strict_names_each_finding_after_the_report_and_ends_with_3(config, capsys):
    code = main(["data", "inspect", config, "--set", "run.seed=0", "--strict"])
    assert code == ExitCode.DATA
    written = capsys.readouterr()
    assert written.out.splitlines(keepends=True)[1:] == PAGE.splitlines(keepends=True)[1:]
    head, *lines = written.err.splitlines()
    assert head == "siamese-job: data inspect --strict: 6 findings:"
    assert [line.split()[0].rstrip(":") for line in lines] == [
        "bad_rows",
        "few_pairs",
        "few_pairs",
        "few_pairs",
        "shared_items",
        "unknown_tokens",
    ]


def test_strict_leaves_json_whole(config, capsys):
    assert main(["data", "inspect", config, "--json", "--strict"]) == ExitCode.DATA
    record = json.loads(capsys.readouterr().out)
    assert "bad_rows" in {finding["name"] for finding in record["findings"]}


def test_strict_accepts_good_data(tmp_path, capsys):
    random = np.random.default_rng(0)
    for split in SPLITS:
        words = ["".join(random.choice(list("abcdefghij"), 8)) for _ in range(240)]
        rows = [f"{words[k]},{words[k + 120]},{k % 2}" for k in range(120)]
        (tmp_path / f"{split}.csv").write_text("\n".join(["left,right,label", *rows]))
    (tmp_path / "c.yaml").write_text(
        "run: {name: r}\ndata: {train: train.csv, validation: validation.csv, test: test.csv}\n"
    )
    assert main(["data", "inspect", str(tmp_path / "c.yaml"), "--strict"]) == 0
    written = capsys.readouterr()
    assert written.out.endswith("\n\nfindings: none\n")
    assert written.err == ""


def test_inspect_does_without_tensorflow(config):
    code = (
        "import argparse, sys\n"
        "from job.commands.parsers import register_commands\n"
        "parser = argparse.ArgumentParser()\n"
        "register_commands(parser.add_subparsers())\n"
        f"args = parser.parse_args(['data', 'inspect', {config!r}, '--json'])\n"
        "assert args.run(args) == 0\n"
        "loaded = {'tensorflow', 'keras'} & set(sys.modules)\n"
        "sys.exit(f'imported {loaded}' if loaded else 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
