"""KDD Cup 1999 measured: each method of a plan, at each seed, beside the reference numbers.

python -m jobs.kddcup99 --data FOLDER [--config PLAN] [--seeds 8] [--out docs/results] [--adbench FOLDER]
"""
