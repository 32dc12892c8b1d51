"""Training state that survives being killed anywhere: what is written, in which order, and why.

`docs/adr/0003-checkpoint-format.md` has the protocol; `manager` is the door.
"""
