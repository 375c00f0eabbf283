"""What happened: the append-only, hash-chained event store and its engines."""
