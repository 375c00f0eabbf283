"""The generic store of any resource: pure decisions, and the one commit that appends and folds in a transaction."""
