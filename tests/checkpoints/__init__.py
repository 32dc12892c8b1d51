import pytest

# These contain assertions and are no test modules.
for _module in ("enumeration", "fault_stores", "tiny_run"):
    pytest.register_assert_rewrite(f"{__name__}.{_module}")
