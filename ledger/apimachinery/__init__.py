"""Pure values and rules: names, requests, Status, selectors, patches, codecs. No clock, socket, file or randomness."""
