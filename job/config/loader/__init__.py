"""From files, environment and flags to one configuration."""
