"""What workers tell each other about themselves before they train."""

from importlib import metadata

import keras
import numpy as np
import pytest
import tensorflow as tf

from job.run.workers import library_versions


def test_the_versions_are_those_of_the_packages_that_are_imported():
    assert library_versions() == {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


@pytest.mark.parametrize(
    ("installed", "found"),
    [
        ({"tensorflow": "2.21"}, "2.21"),
        ({"tensorflow-cpu": "2.21"}, "2.21"),  # in the image for CPUs
        ({"tensorflow-of-ones-own": "2.21"}, "unknown"),
    ],
)
def test_tensorflow_is_found_under_each_name_that_it_is_installed_by(installed, found):
    def version(name):
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    assert library_versions(version)["tensorflow"] == found
