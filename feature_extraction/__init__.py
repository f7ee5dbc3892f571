"""Raw events to the feature table: reading, regular series, Prophet components, named features."""
