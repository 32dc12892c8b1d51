"""What a file holds: rows of tables, arrays, files of class folders."""
