"""Trainers built with Keras."""
