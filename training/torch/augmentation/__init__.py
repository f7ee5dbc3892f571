"""What the trainers that make rows share: columns to networks and back, amounts to choose from, a classifier."""
