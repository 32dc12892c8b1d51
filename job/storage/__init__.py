"""Objects by name: the one way the program reads and writes what must outlive it."""
