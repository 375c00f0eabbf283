"""The handler chain: one filter a file; chain.py is the list, outermost first."""
