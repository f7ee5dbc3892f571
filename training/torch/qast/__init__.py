"""QAST: quality-aware self-training on synthesised rare rows."""
