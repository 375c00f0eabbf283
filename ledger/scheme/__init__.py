"""Which kinds exist: data files and CRD objects become the same ResourceDefinition."""
