"""Files below `data.root` and what they hold."""
