"""Who is asking (authenticators) and whether they may (authorizers)."""
