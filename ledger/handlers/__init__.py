"""What answers a request once it may pass: one file a verb, discovery, openapi, health, reviews, as-of."""
