"""Reading YAML: values, places, and everything that is refused."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.config.loader.yaml12 import MAX_DEPTH, read_document, read_value
from job.config.loader.yaml_text import MAX_BYTES, Mark, decoded


def problems(data: bytes) -> list[tuple[int, int, str]]:
    return [
        (problem.mark.line, problem.mark.column, problem.text)
        for problem in read_document(data).problems
    ]


def the_problem(data: bytes) -> tuple[int, int, str]:
    [found] = problems(data)
    return found


def test_values_and_places_of_a_nested_file() -> None:
    document = read_document(b"a: 1\nb:\n  c: [x, {d: no}]\n  'e f': >\n    two\n    words\n")
    assert document.values == {"a": 1, "b": {"c": ["x", {"d": "no"}], "e f": "two words\n"}}
    assert document.keys == {
        ("a",): Mark(1, 1),
        ("b",): Mark(2, 1),
        ("b", "c"): Mark(3, 3),
        ("b", "c", 0): Mark(3, 7),
        ("b", "c", 1): Mark(3, 10),
        ("b", "c", 1, "d"): Mark(3, 11),
        ("b", "e f"): Mark(4, 3),
    }
    assert document.marks[("b", "c", 1, "d")] == Mark(3, 14)
    assert document.marks[("b", "e f")] == Mark(4, 10)
    assert document.marks[()] == Mark(1, 1)


@pytest.mark.parametrize(
    ("data", "values"),
    [
        (b"a: '1'", {"a": "1"}),
        (b'a: "true"', {"a": "true"}),
        (b"a: |\n  1", {"a": "1"}),
        (b"a:", {"a": None}),
        (b"a: ''", {"a": ""}),
        (b"yes: no", {"yes": "no"}),
        (b"'1': x", {"1": "x"}),
        (b'{"a":1,"b":[true]}', {"a": 1, "b": [True]}),
        (b"%YAML 1.2\n---\na: 1\n...\n", {"a": 1}),
        (b"a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
        (b'a: "\\U0001f600 \\/"', {"a": "\U0001f600 /"}),
        ("a: \U0001f600".encode(), {"a": "\U0001f600"}),
        (b"a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        (b"&k a: 1\nb: *k", {"a": 1, "b": "a"}),
        (b"a: &x 1\nb: &x 2\nc: *x", {"a": 1, "b": 2, "c": 2}),
        (b"- a\n- b: 3", ["a", {"b": 3}]),
        (b"3", 3),
    ],
)
def test_a_valid_document_gives_its_values(data: bytes, values: object) -> None:
    document = read_document(data)
    assert not document.problems
    assert document.values == values


@pytest.mark.parametrize("data", [b"", b"\n\n", b"# nothing\n", b"---\n", b"\xef\xbb\xbf"])
def test_an_empty_file_holds_nothing_and_is_no_yaml_problem(data: bytes) -> None:
    document = read_document(data)
    assert document.values is None
    assert not document.problems


def test_a_byte_order_mark_does_not_shift_places() -> None:
    document = read_document(b"\xef\xbb\xbfa: {b: 1}")
    assert document.values == {"a": {"b": 1}}
    assert document.keys[("a", "b")] == Mark(1, 5)
    assert the_problem(b"\xef\xbb\xbfa: \xff")[:2] == (1, 4)


def test_an_aliased_value_is_found_where_it_is_written() -> None:
    document = read_document(b"a: &x {b: 1}\nc: *x")
    assert document.marks[("c", "b")] == Mark(1, 11)


def test_a_repeated_key_names_both_lines_and_the_first_value_stays() -> None:
    data = b"a: 1\nb: 2\na: 3\n"
    assert the_problem(data) == (3, 1, "this key is already on line 1; keep one of the two")
    assert read_document(data).values == {"a": 1, "b": 2}
    assert read_document(data).problems[0].path == ("a",)


def test_keys_that_differ_only_in_quotes_are_the_same_key() -> None:
    assert "already on line 1" in the_problem(b"a: 1\n'a': 2")[2]


def test_every_problem_is_found_in_one_reading() -> None:
    found = problems(b"a: 1\na: 2\n<<: {b: 1}\n1: x\n[c]: 3\nd: !!str 3\n? {e: f}\n: g\n")
    assert sorted(found) == [
        (2, 1, "this key is already on line 1; keep one of the two"),
        (3, 1, "YAML 1.2 has no merge key `<<`; repeat the keys where they apply"),
        (4, 1, "a key must be text (got 1); put it in quotes"),
        (5, 1, "a key must be text (got a list or a mapping)"),
        (
            6,
            4,
            "tags are not allowed (got '!!str'); remove it: a quoted value is text, any other "
            "value has the type it looks like",
        ),
        (7, 3, "a key must be text (got a list or a mapping)"),
    ]


@pytest.mark.parametrize("key", ["1", "1.5", "true", "null", "~", ".inf"])
def test_a_key_that_is_not_text_is_refused(key: str) -> None:
    assert the_problem(f"{key}: x".encode()) == (
        1,
        1,
        f"a key must be text (got {'null' if key == '~' else key}); put it in quotes",
    )


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!x", "!", "!!binary"])
def test_every_tag_is_refused(tag: str) -> None:
    line, column, text = the_problem(f"a: {tag} 'x'".encode())
    assert (line, column) == (1, 4)
    assert text.startswith(f"tags are not allowed (got '{tag}')")


def test_what_is_wrong_inside_an_alias_is_said_once() -> None:
    assert len(problems(b"a: &x {b: 1, b: 2}\nc: *x\nd: *x")) == 1


@pytest.mark.parametrize(
    ("data", "line", "column", "text"),
    [
        (b"a:\n\t- b", 2, 1, "indent with blanks, not tabs"),
        (b"a: [1,", 1, 7, "a bracket is not closed"),
        (b"a: [1, 2\nb: 3", 2, 2, "a bracket is not closed, or a comma is missing"),
        (b"a: 'x", 1, 6, "a quote is not closed"),
        (b"a: b: c", 1, 5, "quotes around a text that holds `: `"),
        (b"a: x\ny", 2, 2, "a key needs a colon, a blank and a value"),
        (b"a:\n  b: 1\n c: 2", 3, 2, "keys of one section need the same indentation"),
        (b"a: @x", 1, 4, "put a text that starts with it in quotes"),
        (b"%YAML 2.0\n---\na: 1", 1, 1, "not valid YAML: found incompatible YAML document"),
        (b"a: *x", 1, 4, "write `&` and its name before an earlier value"),
        (b"a: &x [*x]", 1, 4, "at most 32 levels deep, aliases expanded"),
        (b"a: 1\n---\nb: 2", 2, 1, "one file holds one configuration"),
        (b"a: 1\nb: \x01", 2, 4, "the control character U+0001 is not allowed"),
        (b"a: \x00", 1, 4, "the control character U+0000 is not allowed"),
        (b"a: 1\nb: x\xffy", 2, 5, "the file is not UTF-8 text (got the byte 0xff)"),
        ("a: \u00e9".encode("latin-1"), 1, 4, "the file is not UTF-8 text (got the byte 0xe9)"),
        ("a: 1".encode("utf-16"), 1, 1, "the file is not UTF-8 text (got the byte 0xff)"),
        ("a: x\u2028y".encode(), 1, 5, 'write "\\u2028" in double quotes'),
        ("a: x\u0085y".encode(), 1, 5, 'write "\\u0085" in double quotes'),
        (b'a: "\\ud800"', 1, 4, "text may contain neither NUL nor half a character"),
        (
            b'a: "x\\0"',
            1,
            4,
            "text may contain neither NUL nor half a character (got 'x\\u0000')",
        ),
        (b"a: " + b"9" * 5000, 1, 4, "a number may have at most 100 digits (got 5000)"),
    ],
)
def test_what_cannot_be_read_says_where_and_what_to_do(
    data: bytes, line: int, column: int, text: str
) -> None:
    found = the_problem(data)
    assert found[:2] == (line, column)
    assert text in found[2]


def test_a_file_beyond_the_size_limit_is_refused_unread() -> None:
    assert "at most 1000000 bytes" in the_problem(b"#" * (MAX_BYTES + 1))[2]
    assert decoded(b"#" * MAX_BYTES) == "#" * MAX_BYTES


def test_nesting_is_limited_in_the_text_and_through_aliases() -> None:
    deepest = b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH
    assert problems(deepest) == []
    assert "at most 32 levels deep" in the_problem(b"[" + deepest + b"]")[2]
    through_alias = b"a: &x " + b"[" * 20 + b"1" + b"]" * 20
    through_alias += b"\nb: " + b"[" * 20 + b"*x" + b"]" * 20
    assert "at most 32 levels deep" in the_problem(through_alias)[2]
    assert "at most 32 levels deep" in the_problem(b"[" * 900_000)[2]


def test_aliases_that_multiply_are_stopped_at_the_limit_of_values() -> None:
    lines = [b"a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]".encode() for n in range(1, 12)]
    started = time.process_time()
    assert "at most 20000 values, aliases expanded" in the_problem(b"\n".join(lines))[2]
    assert time.process_time() - started < 5  # 9 ** 12 values would take days


def test_the_number_of_values_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("job.config.loader.yaml12.MAX_VALUES", 6)
    # A mapping, its key, a list and three entries.
    assert problems(b"a: [1, 2, 3]") == []
    assert "at most 6 values" in the_problem(b"a: [1, 2, 3, 4]")[2]
    # Six values as written; seven with the alias expanded.
    assert problems(b"[&x [1, 1], 1]") == []
    assert "at most 6 values" in the_problem(b"[&x [1, 1], *x]")[2]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        (" 3 ", 3),
        ("1e-3", 0.001),
        ("no", "no"),
        ("null", None),
        ("''", ""),
        ("'3'", "3"),
        ('"a\\tb"', "a\tb"),
        ("[1, a]", [1, "a"]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("a: b", "a: b"),
        ("a #b", "a #b"),
        ("@x", "@x"),
        ("!!str 3", "!!str 3"),
        ("&a", "&a"),
        ("*a", "*a"),
        ("- a", "- a"),
        ("key=value", "key=value"),
        ("%d", "%d"),
    ],
)
def test_a_typed_value_is_a_plain_scalar_or_flow_yaml(text: str, value: object) -> None:
    assert read_value(text) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1", "a bracket is not closed"),
        ("{a: 1, a: 2}", "already on line 1"),
        ("'a", "a quote is not closed"),
        ("9" * 101, "at most 100 digits"),
        ("a\udcff", "write UTF-8"),  # how the environment gives a byte that is not UTF-8
        ("'a\udcff'", "not UTF-8"),
    ],
)
def test_a_typed_value_that_cannot_be_read_says_why(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_value(text)


@given(
    st.binary(max_size=60) | st.text("a:-[]{},&*!|>'\"%@#\n\t ?<1", max_size=40).map(str.encode)
)
def test_no_bytes_make_the_reader_raise(data: bytes) -> None:
    read_document(data)


@given(st.text(max_size=30))
def test_no_typed_text_raises_anything_but_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        read_value(text)
