"""Checkpoints that survive a process killed at any moment.

`serialization` says what a checkpoint contains, `policy` when one is written and which are
kept, `manager` is the entry point. `docs/adr/0003-checkpoint-format.md` describes the protocol.
"""
