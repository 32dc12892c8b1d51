"""From files to items and pairs: each item once, bad rows kept out."""
