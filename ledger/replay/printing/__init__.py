"""Answers as text and as JSON. Pure: lines and documents come out, and the command line writes them."""
