"""Recorded training runs, and what a sweep would have made of them: parts of `replay.py`."""
