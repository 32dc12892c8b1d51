"""A configuration from the data: looks at the files, applies rules, writes commented YAML."""
