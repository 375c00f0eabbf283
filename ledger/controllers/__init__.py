"""The few loops that a bare API server needs to be usable; each acts through the registry under its own user name."""
