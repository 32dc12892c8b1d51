"""Programs that keep generated files up to date; the package does not need them."""
