"""Config -> objects -> nursery: the only place where rooms are joined."""
