"""Trainers built with Keras on TensorFlow."""
