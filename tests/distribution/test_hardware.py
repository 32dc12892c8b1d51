from job.distribution.cluster import Cluster
from job.distribution.hardware import cpu_features, describe_environment


def test_cpu_features_come_in_a_fixed_order_whatever_the_kernel_lists(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nflags : sse avx512f fma avx2\n\nflags : none\n")
    assert cpu_features(cpuinfo) == "fma avx2 avx512f"


def test_a_machine_that_does_not_tell_has_no_features(tmp_path):
    assert cpu_features(tmp_path / "missing") == ""


def test_environment_names_what_decides_the_last_bits():
    found = describe_environment(
        libraries={"tensorflow": "2.21.0"},
        num_replicas=2,
        global_batch_size=64,
        devices="CPU",
    )
    assert set(found["versions"]) == {"python", "tensorflow"}
    assert found["topology"]["replicas"] == 2
    assert found["topology"]["threads"] >= 1


def test_worker_0_is_the_chief():
    assert Cluster().is_chief
    assert not Cluster(worker=1, num_workers=2).is_chief
