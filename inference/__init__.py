"""Artifact and feature table to scores, evaluation, explanations and the report."""
