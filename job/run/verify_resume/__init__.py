"""Proves on a user's own run that kills and resumes change no bit of it.

`verify` trains a shortened copy twice, `plan` says how short and when to kill, `child` starts,
follows and kills processes, `compare` reads the last checkpoints of both.
"""
