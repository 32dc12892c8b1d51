"""Which pairs are seen when: functions of (seed, epoch, step)."""
