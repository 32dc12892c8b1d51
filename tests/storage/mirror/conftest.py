"""The data bucket, as readers of data reach it."""

from tests.data.conftest import access, gcs

__all__ = ["access", "gcs"]
