"""`python -m job` is `siamese-job`."""

import sys

from job.cli import main

sys.exit(main())
