"""The report's drawings as small inline SVG."""
