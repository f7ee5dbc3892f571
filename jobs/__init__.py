"""Entry points for spark-submit, `python -m` and schedulers."""
