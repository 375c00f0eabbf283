"""How kinds change from one of their versions to another, one module a group. Pure; arguments are never changed."""
