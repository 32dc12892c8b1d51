"""The command line with nondeterministic operations, which the program itself does not offer.

    .venv/bin/python -m benchmarks.without_determinism train CONFIG

Only `benchmarks/overheads.py` uses it, to measure what determinism costs.
"""

import sys


def main() -> int:
    """Runs the command."""
    import tensorflow as tf

    from job.cli import main as run_command

    tf.config.experimental.enable_op_determinism = lambda: None
    return run_command()


if __name__ == "__main__":
    sys.exit(main())
