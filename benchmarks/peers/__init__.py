"""The peers: each a script that its own users might have written, at its best."""
