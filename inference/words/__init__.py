"""The report's sentences and small tables, computed from what was measured; none is written beforehand."""
