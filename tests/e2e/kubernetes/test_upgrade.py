"""Installing again: the same is nothing new, a finished run ends at once, others are others."""

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.e2e]


def test_a_run_s_life_from_install_to_uninstall(cluster, tiny):
    """One story, since each chapter needs the one before it."""
    first = cluster.installed("life", tiny)
    cluster.completed(first)
    before = cluster.labelled("life")

    assert cluster.installed("life", tiny, upgrade=True) == first
    assert cluster.labelled("life") == before

    cluster.uninstall("life")
    assert cluster.labelled("life") == {}

    again = cluster.installed("life", tiny)
    assert again == first
    cluster.completed(again)
    assert "already finished" in cluster.logs(again)
    assert "loading" not in cluster.logs(again)

    tiny["config"]["training"]["optimizer"]["learning_rate"] = 0.05
    other = cluster.installed("life", tiny, upgrade=True)
    assert other != first
    cluster.wait(lambda: cluster.job_names("life") == [other], "the old Job gone")
    cluster.completed(other)
    assert "run finished" in cluster.logs(other)

    cluster.uninstall("life")
    assert cluster.labelled("life") == {}
