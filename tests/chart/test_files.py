"""Files that travel with a release, and the limits of that."""

import base64
import gzip

import pytest

from tests.chart.conftest import PAIRS

pytestmark = pytest.mark.chart

GZ = base64.b64encode(gzip.compress(b"left,right,label\n", mtime=0)).decode()

TEXTS = [
    "", "a", "a\n", "a\n\n\n", "\n\na", "  indented\n b\n", "\ttab\n", "a\r\nb\r\n", "a \n \nb",
    "# no comment\n", "---\na\n...\n", "{{ .Values }}\n", "na\u00efve \U0001f600\n", "no",
    "a: b\n- c\n", "'\"\\\n", "007",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_text_arrives_character_by_character(render, text):
    release = render({"data.files": {"pairs.csv": PAIRS, "a/b.txt": text}})
    assert release.files() == {"pairs.csv": PAIRS, "a/b.txt": text}


@pytest.mark.parametrize(
    "text", ["a\u2028b\n", "\ufeffa\n", "a\x85b", "\x00", "a\x7f\n"], ids=ascii
)
def test_text_that_yaml_could_bend_arrives_byte_by_byte(render, text):
    (content,) = render({"data.files": {"a.txt": text}}).files().values()
    assert base64.b64decode(content) == text.encode()


def test_files_lie_beside_the_configuration_under_their_own_paths(render):
    paths = [
        "pairs.csv",
        "data/typos/train.csv.gz",
        "a b/\u00fc.csv",
        "a/b",
        "a.b",
        "x/../y"[5:],
    ]
    given = {path: GZ if path.endswith(".gz") else path for path in paths}
    release = render({"data.files": given})
    assert release.files() == given
    (mount,) = [m for m in release.container["volumeMounts"] if m["name"] == "config"]
    assert mount["mountPath"] == "/etc/siamese"


@pytest.mark.parametrize("end", [".gz", ".npz", ".npy", ".png", ".jpg", ".jpeg", ".zip", ".GZ"])
def test_a_binary_file_is_given_as_base64(render, end):
    wrapped = "\n".join([GZ[:20], GZ[20:], ""])
    (data_map,) = render({"data.files": {f"x{end}": wrapped}}).data_maps
    assert list(data_map["binaryData"].values()) == [GZ]
    assert "data" not in data_map


def test_without_files_there_is_no_second_config_map(render):
    release = render({"data.files": {}})
    assert release.data_maps == []
    (volume,) = [one for one in release.pod["volumes"] if one["name"] == "config"]
    assert len(volume["projected"]["sources"]) == 1


def test_exactly_the_limit_fits(render):
    assert render({"data.files": {"a.csv": "x" * 300_000, "b.csv": "y" * 7200}})


def test_a_binary_file_counts_as_what_it_decodes_to(render):
    content = bytes(307_200 - len(PAIRS))
    coded = base64.b64encode(content).decode()
    assert render({"data.files.x~npy": coded})


@pytest.mark.parametrize(
    ("files", "size"),
    [
        ({"a.csv": "x" * 307_201}, 307_201),
        ({"a.csv": "\u00fc" * 153_601}, 307_202),
        ({"a.csv": "x" * 200_000, "b.csv": "y" * 200_000}, 400_000),
        ({"a.npy": base64.b64encode(bytes(307_201)).decode()}, 307_201),
        ({"a.npy": base64.b64encode(bytes(307_202)).decode()}, 307_202),
    ],
    ids=["one", "bytes", "together", "padded", "padded-less"],
)
def test_more_than_the_limit_is_refused_with_the_size_and_what_to_do(refusal, files, size):
    message = refusal({"data.files": files})
    assert f"data.files hold {size} bytes together; at most 307200 (300 KiB) fit" in message
    assert "gzip" in message
    assert "mount a volume" in message


@pytest.mark.parametrize("content", ["", "left,right\n", "abc", "====", "AAAA=", "AA==AAAA"])
def test_a_binary_file_that_is_no_base64_is_refused_with_its_name(refusal, content):
    message = refusal({"data.files": {"data/x.csv.gz": content}})
    assert 'data.files: "data/x.csv.gz" is not base64' in message


@pytest.mark.parametrize(
    "path",
    [
        "/a.csv",
        "../a.csv",
        "a/../b.csv",
        "a//b.csv",
        "a/",
        "./a.csv",
        "..",
        ".",
        "",
        "..a/b.csv",
    ],
)
def test_a_path_that_leaves_the_folder_or_is_not_plain_is_refused(refusal, path):
    message = refusal({"data.files": {path: "x"}})
    assert f'data.files: "{path}" is not a plain relative path' in message


@pytest.mark.parametrize("path", ["config.yaml", "config.yaml/a.csv"])
def test_a_file_in_the_place_of_the_configuration_is_refused(refusal, path):
    assert "where the run's configuration does" in refusal({"data.files": {path: "x"}})


def test_a_file_below_a_file_is_refused(refusal):
    message = refusal({"data.files": {"a": "x", "a/b.csv": "y"}})
    assert '"a" is a file, so "a/b.csv" cannot lie below it' in message
