import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from job.commands.registry import register_commands
from job.errors import ConfigError, DataError, ExitCode


def run(*arguments: str) -> ExitCode:
    parser = argparse.ArgumentParser()
    register_commands(parser.add_subparsers(required=True))
    args = parser.parse_args(["data", *arguments])
    return args.run(args)


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


SCREEN = """\
63 distinct items of kind text, fingerprint FINGERPRINT

pairs                     all  matches  non-matches  matching  items
train                      37       19           18     51.4%     54
validation                  4        2            2     50.0%      6
test                        2        1            1     50.0%      4

characters of an item     least  median  90 %  99 %  most
train                         3       3     3     3     3
validation                    3       3     3     3     3
test                          1     1.5   2.7     3     3

odd pairs                 repeated  mirrored  both labels  item with itself
train                            1         0            0                 0
validation                       0         0            0                 0
test                             0         0            0                 0

items shared with         train  validation  test
train                         -           0     1
validation                    0           -     0
test                          1           0     -

characters that no training item holds
  validation: none
  test: 4 in 3 of 4 items: '\\x1b' 'b' '\u00e9' '\u00ea'

guessing validation labels from one side alone (ROC-AUC, 0.5 = nothing to gain)
  left 0.500, right 1.000
  One side gives the label away: a model can score well without comparing.
  Let each item occur in matches and in non-matches about equally often.

bad rows: 1 of 44 kept out (1 label)
  pairs.csv line 43: label must be 0 or 1, got '2' in ['a', 'b', '2']
"""


def test_inspect_shows_a_screen(config, capsys):
    assert run("inspect", config, "--set", "run.seed=0") == ExitCode.FINISHED
    lines = capsys.readouterr().out.splitlines(keepends=True)
    expected = SCREEN.splitlines(keepends=True)
    assert lines[0].startswith(expected[0].split("FINGERPRINT")[0])
    assert "".join(lines[1:]) == "".join(expected[1:])


def test_inspect_gives_json(config, capsys):
    assert run("inspect", config, "--json") == ExitCode.FINISHED
    record = json.loads(capsys.readouterr().out)
    assert record["splits"]["test"]["num_pairs"] == 2
    assert record["splits"]["train"]["num_duplicates"] == 1
    assert record["quarantine"]["counts"] == {"label": 1}
    assert len(record["fingerprint"]) == 64


def test_a_setting_on_the_command_line_counts(config):
    with pytest.raises(DataError, match=r"data\.train: 1 of the 42 rows"):
        run("inspect", config, "--set", "data.max_bad_fraction=0.0")
    with pytest.raises(ConfigError, match=r"data\.max_lenght"):
        run("inspect", config, "--set", "data.max_lenght=3")


def test_bad_rows_beyond_those_shown_are_counted(config, capsys):
    path = Path(config).parent / "pairs.csv"
    path.write_text(path.read_text() + "\na,b,2" * 11)
    run("inspect", config, "--set", "data.max_bad_fraction=0.5")
    assert capsys.readouterr().out.endswith("  and 2 more\n")


def test_data_without_oddities_says_so(config, capsys):
    path = Path(config).parent / "pairs.csv"
    path.write_text(path.read_text().replace("\na,b,2", ""))
    run("inspect", config)
    assert capsys.readouterr().out.endswith("bad rows: none of 43\n")


def test_inspect_does_without_tensorflow(config):
    code = (
        "import argparse, sys\n"
        "from job.commands.registry import register_commands\n"
        "parser = argparse.ArgumentParser()\n"
        "register_commands(parser.add_subparsers())\n"
        f"args = parser.parse_args(['data', 'inspect', {config!r}, '--json'])\n"
        "assert args.run(args) == 0\n"
        "loaded = {'tensorflow', 'keras'} & set(sys.modules)\n"
        "sys.exit(f'imported {loaded}' if loaded else 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
