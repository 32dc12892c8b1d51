"""The training loop, one optimizer step, the state of a run, and stop signals."""
