"""Folds of the log: state (now), history (as-of), watch (frames), audit index (who, when, what)."""
