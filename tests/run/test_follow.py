"""What a follower says that it does."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np

from job.distribution.channel import LEAVE
from job.distribution.messages import Message
from job.errors import ExitCode
from job.run.follow import _Follower

FACTS = {"epoch": 0, "first": 0, "count": 1, "learning_rate": 0.1, "global_step": 1}


def test_a_follower_compiles_until_its_first_steps_are_taken():
    said = []
    end = Message(LEAVE, {"code": int(ExitCode.FINISHED), "message": "the run is finished"})
    messages = iter([Message("steps", FACTS), Message("steps", FACTS), end])

    def step(call):
        said.append("step")
        return SimpleNamespace(loss=np.zeros(1))

    rate = SimpleNamespace(value=SimpleNamespace(numpy=lambda: FACTS["learning_rate"]))
    follower = _Follower(
        SimpleNamespace(
            listener=SimpleNamespace(set_phase=said.append),
            logging=SimpleNamespace(track_step=lambda read: None),
            metrics=SimpleNamespace(observe_steps=lambda *numbers, **more: None),
            config=SimpleNamespace(training=SimpleNamespace(global_batch_size=4)),
        ),
        SimpleNamespace(receive=lambda *kinds: next(messages), in_step=nullcontext),
        SimpleNamespace(optimizer=SimpleNamespace(learning_rate=rate)),
        step,
        SimpleNamespace(take=lambda steps: None),
        None,
    )
    follower.run()
    assert said == ["compiling", "step", "training", "step", "training"]
