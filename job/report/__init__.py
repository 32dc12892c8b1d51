"""The report of a finished run as a page, and its model card."""
