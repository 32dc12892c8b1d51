"""What `train` and `evaluate` are put together from: a run, its parts and its life.

`session` surrounds a command, `run_folder` is where a run lives, `assembly` puts data and model
together, `attempt` is one process' lifetime of the run, `training_run` takes it from there to
the end and `closing` tells how it went.
"""
