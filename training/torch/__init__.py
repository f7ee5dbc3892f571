"""Trainers built with PyTorch."""
