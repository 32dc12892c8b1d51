import pytest

from job.distribution.cluster import Address, cluster_of
from job.errors import ConfigError

TWO = "quora-0.quora:2222,quora-1.quora:2222"


@pytest.mark.parametrize("env", [{}, {"WORKER_ADDRESSES": ""}, {"WORKER_ADDRESSES": "a:1"}])
def test_without_several_addresses_a_process_is_alone_and_the_chief(env):
    cluster = cluster_of(env | {"JOB_COMPLETION_INDEX": "0"})
    assert (cluster.num_workers, cluster.is_chief) == (1, True)
    assert cluster.part_of(8) == slice(None)


def test_the_index_of_the_job_says_which_worker_this_is():
    cluster = cluster_of({"WORKER_ADDRESSES": TWO, "JOB_COMPLETION_INDEX": "1"})
    assert (cluster.num_workers, cluster.is_chief) == (2, False)
    assert cluster.addresses[0] == Address("quora-0.quora", 2222)
    assert cluster.addresses[1].tensorflow == "quora-1.quora:2223"
    assert cluster.part_of(8) == slice(4, 8)
    assert cluster.name(0) == "worker 0 (chief, quora-0.quora)"


@pytest.mark.parametrize(
    ("addresses", "index", "said"),
    [
        (TWO, "", "JOB_COMPLETION_INDEX: ''"),
        (TWO, "2", "0 to 1"),
        (TWO, "-1", "'-1'"),
        ("a:1,a:1", "0", "twice"),
        ("a:1,b", "0", "'b' is not HOST:PORT"),
        ("a:1,b:0", "0", "'b:0'"),
        ("a:1,b:65535", "0", "65534"),  # TensorFlow has the next port
        ("a:1,:5", "0", "':5'"),
    ],
)
def test_variables_that_make_no_sense_are_rejected_with_what_they_say(addresses, index, said):
    with pytest.raises(ConfigError, match=said):
        cluster_of({"WORKER_ADDRESSES": addresses, "JOB_COMPLETION_INDEX": index})
