import os
import platform
import re
import sys
from importlib import metadata

import keras
import numpy as np
import PIL
import pytest
import tensorflow as tf

from job import __version__
from job.config.root import Config
from job.distribution.hardware import (
    choose_compute_threads,
    choose_devices,
    cpu_features,
    fitting_threads,
    library_versions,
)
from job.errors import ConfigError


def test_cpu_features_come_in_a_fixed_order_whatever_the_kernel_lists(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nflags : sse avx512f fma avx2\n\nflags : none\n")
    assert cpu_features(cpuinfo) == "fma avx2 avx512f"


def test_a_machine_that_does_not_tell_has_no_features(tmp_path):
    assert cpu_features(tmp_path / "missing") == ""


@pytest.mark.parametrize("kind", [None, "text", "image"])
def test_the_versions_are_those_of_the_packages_that_are_imported(kind):
    images = {"pillow": PIL.__version__} if kind == "image" else {}
    assert library_versions(kind) == {
        "python": platform.python_version(),
        "siamese-job": __version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        **images,
    }


def config(encoder, **training) -> Config:
    kind = "text" if encoder["kind"] == "lstm" else "image"
    return Config.model_validate(
        {
            "run": {"name": "a"},
            "data": {"kind": kind, "train": "a.csv"},
            "model": {"encoder": encoder},
            "training": training,
        }
    )


LIMITED, UNLIMITED = "150000 100000\n", "max 100000\n"


@pytest.mark.parametrize(
    ("installed", "found"),
    [
        ({"tensorflow": "2.21"}, "2.21"),
        ({"tensorflow-cpu": "2.21"}, "2.21"),  # in the image for CPUs
        ({"tensorflow-of-ones-own": "2.21"}, "unknown"),
    ],
)
def test_tensorflow_is_found_under_each_name_that_it_is_installed_by(
    monkeypatch, installed, found
):
    def version(name):
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    with monkeypatch.context() as not_imported:
        not_imported.delitem(sys.modules, "tensorflow")
        assert library_versions(version=version)["tensorflow"] == found
    imported = tf.__version__ if found == "unknown" else found
    assert library_versions(version=version)["tensorflow"] == imported


@pytest.mark.parametrize(
    ("cpu_max", "requested", "stored", "threads"),
    [
        (LIMITED, 8, None, 2),
        (LIMITED, 1, None, 1),
        (LIMITED, None, None, 2),
        (LIMITED, 8, 3, 3),
        (UNLIMITED, 8, None, 8),
        (None, 8, None, 8),
        (UNLIMITED, None, None, len(os.sched_getaffinity(0))),
    ],
)
def test_compute_threads_are_stored_then_requested_then_limited(
    tmp_path, cpu_max, requested, stored, threads
):
    file = tmp_path / "cpu.max"
    if cpu_max is not None:
        file.write_text(cpu_max)
    given = config({"kind": "cnn"}, compute_threads=requested)
    assert choose_compute_threads(given, stored=stored, cpu_max=file) == threads


@pytest.mark.parametrize(
    ("encoder", "batch", "cores", "threads"),
    [
        ({"kind": "lstm", "units": 32}, 64, 16, 1),
        ({"kind": "lstm", "units": 32}, 256, 16, 2),
        ({"kind": "lstm", "units": 256}, 256, 16, 8),
        ({"kind": "lstm", "units": 256}, 256, 2, 1),
        ({"kind": "lstm", "units": 256}, 256, 1, 1),
        ({"kind": "cnn"}, 64, 16, 16),
        ({"kind": "cnn"}, 64, 2, 2),
    ],
)
def test_operations_of_an_lstm_take_few_threads(encoder, batch, cores, threads):
    given = config(encoder, global_batch_size=batch)
    assert fitting_threads(given, cores) == threads


@pytest.mark.parametrize(
    ("request_", "num_gpus", "of_pod", "chosen"),
    [
        ("auto", 0, 0, ("CPU", 1)),
        ("auto", 2, 0, ("GPU", 2)),
        ("auto", 2, 1, ("GPU", 2)),
        ("cpu", 2, 1, ("CPU", 1)),
        ("cpu:4", 0, 0, ("CPU", 4)),
        ("gpu", 2, 0, ("GPU", 2)),
        ("gpu:1", 2, 0, ("GPU", 1)),
    ],
)
def test_devices_are_those_asked_for(request_, num_gpus, of_pod, chosen):
    assert choose_devices(request_, num_gpus=num_gpus, gpus_of_pod=of_pod) == chosen


@pytest.mark.parametrize(
    ("request_", "num_gpus", "of_pod", "said"),
    [
        ("gpu", 0, 0, "'gpu' asks for 1 GPU(s); TensorFlow sees 0"),
        ("gpu:3", 2, 0, "'gpu:3' asks for 3 GPU(s); TensorFlow sees 2"),
        ("auto", 0, 1, "the pod has 1 GPU(s), and distribution.devices is 'auto'; TensorFlow"),
        ("auto", 1, 2, "the pod has 2 GPU(s)"),
    ],
)
def test_a_gpu_that_is_not_seen_is_an_error_and_no_slow_run(request_, num_gpus, of_pod, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        choose_devices(request_, num_gpus=num_gpus, gpus_of_pod=of_pod)
