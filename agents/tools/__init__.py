"""Tools: one folder a kind, behind `seam.py`."""
