"""Sweeps from a notebook: started in a process of their own, and what they found."""
