"""The bench driver's parts, one noun a file; bench/run.py puts them together."""
