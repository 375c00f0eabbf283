"""Mutating, then validating plugins, a file each."""
