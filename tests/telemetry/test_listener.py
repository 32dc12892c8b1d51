"""One event reaches every listener that has a method for it."""

import inspect

import pytest
from prometheus_client import CollectorRegistry

from job.telemetry.health import Health
from job.telemetry.listener import Listeners
from job.telemetry.run_metrics import RunMetrics

EVENTS = [name for name in vars(Listeners) if not name.startswith("_")]


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_is_heard_by_metrics_or_health_with_these_arguments(event):
    heard = [getattr(kind, event, None) for kind in (RunMetrics, Health)]
    methods = [method for method in heard if method is not None]
    assert methods
    wanted = inspect.signature(getattr(Listeners, event)).parameters
    for method in methods:
        offered = inspect.signature(method).parameters
        kinds = {name: one.kind for name, one in offered.items()}
        assert {name: one.kind for name, one in wanted.items()}.items() <= kinds.items()


def test_listeners_are_told_in_order_and_only_what_they_listen_to():
    told = []

    class Phases:
        def set_phase(self, phase):
            told.append(("phases", phase))

    class Everything(Phases):
        def set_phase(self, phase):
            told.append(("everything", phase))

        def checkpoint_saved(self, step, **facts):
            told.append((step, facts))

    listener = Listeners(Phases(), Everything())
    listener.set_phase("training")
    listener.checkpoint_saved(5, bytes=1, seconds=0.5, retained=2)
    assert told == [
        ("phases", "training"),
        ("everything", "training"),
        (5, {"bytes": 1, "seconds": 0.5, "retained": 2}),
    ]


def test_metrics_and_health_hear_of_the_same_run():
    registry, health = CollectorRegistry(), Health()
    listener = Listeners(RunMetrics(registry, run="r"), health)
    listener.set_phase("training")
    listener.finish_startup()
    labels = {"run": "r", "phase": "training"}
    assert registry.get_sample_value("siamese_run_phase", labels) == 1
    assert health.startup().ok
