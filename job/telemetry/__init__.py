"""What a run tells the outside: metrics, health, log lines, progress.

Nothing here decides what a run does, and a failure in here never ends one.
"""
