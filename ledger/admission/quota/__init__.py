"""What objects use of a quota; the admission plugin charges it and the quota controller counts it again."""
