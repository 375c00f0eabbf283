"""The past: import, rebuild, verify, at, diff, history, export; each a function over (log, fold), and a printer."""
