"""A short list of methods, and the blend of those that rank held-out rows best."""
