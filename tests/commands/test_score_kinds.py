"""`siamese-job score` of sequences and images, in files and by id."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from job.cli import main
from job.errors import ExitCode
from tests.export import tiny_models as tiny
from tests.export.test_loaded import write_export

pytestmark = pytest.mark.slow


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_pairs(path, pairs):
    text = "".join(f"{left},{right}\n" for left, right in pairs)
    path.write_text(f"left,right\n{text}", encoding="utf-8")


def test_sequences_in_files_have_the_scores_of_training(place):
    siamese = tiny.sequence_model()
    golden = tiny.golden_sequences(siamese, [5, 1, 3], [2, 6, 6])
    export = write_export(place / "run", siamese, tiny.MOMENTS, golden)
    (place / "data").mkdir()
    for side in ("left", "right"):
        sequences = getattr(golden, side)
        for row in range(3):
            np.save(place / f"data/{side}{row}.npy", sequences.row(row))
    paths = [(f"left{row}.npy", f"right{row}.npy") for row in range(3)]
    write_pairs(place / "pairs.csv", paths)
    arguments = ["score", str(export), "pairs.csv", "-o", "out.csv", "--root", "data"]
    assert main(arguments) == 0
    found = [float(row["score"]) for row in rows_of(place / "out.csv")]
    np.testing.assert_allclose(found, golden.score, rtol=0, atol=1e-6)


def test_images_in_files_and_by_id_have_the_scores_of_training(place):
    siamese = tiny.image_model()
    golden = tiny.golden_images(siamese, 3)
    export = write_export(place / "run", siamese, None, golden)
    images = np.concatenate([golden.left, golden.right])
    for number, image in enumerate(images):
        Image.fromarray(image).save(place / f"{number}.png")
    np.savez(place / "items.npz", images=images, id=np.array([f"x{n}" for n in range(6)]))
    write_pairs(place / "paths.csv", [(f"{row}.png", f"./{row + 3}.png") for row in range(3)])
    write_pairs(place / "ids.csv", [(f"x{row}", f"x{row + 3}") for row in range(3)])
    assert main(["score", str(export), "paths.csv", "-o", "a.csv"]) == 0
    assert main(["score", str(export), "ids.csv", "--items", "items.npz", "-o", "b.csv"]) == 0
    for name in ("a.csv", "b.csv"):
        found = [float(row["score"]) for row in rows_of(place / name)]
        np.testing.assert_allclose(found, golden.score, rtol=0, atol=1e-6)


def test_pairs_of_another_kind_are_told(place, capsys):
    siamese = tiny.image_model()
    export = write_export(place / "run", siamese, None, tiny.golden_images(siamese, 1))
    write_pairs(place / "texts.csv", [("cat", "hat")])
    assert main(["score", str(export), "texts.csv", "-o", "out.csv"]) == ExitCode.DATA
    message = capsys.readouterr().err
    assert "every one of the 1 rows" in message
    assert "The model takes items of kind image, from files whose paths are relative" in message
    assert not (place / "out.csv").exists()


def test_a_run_whose_pairs_hold_ids_needs_the_items(place, capsys):
    siamese = tiny.image_model()
    export = write_export(place / "run", siamese, None, tiny.golden_images(siamese, 1))
    manifest = json.loads((export / "manifest.json").read_text())
    (export / "manifest.json").write_text(json.dumps(manifest | {"pairs_by_id": True}))
    write_pairs(place / "ids.csv", [("a", "b")])
    assert main(["score", str(export), "ids.csv", "-o", "out.csv"]) == ExitCode.CONFIG
    assert "--items FILE" in capsys.readouterr().err
