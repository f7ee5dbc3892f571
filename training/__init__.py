"""The feature table to an artifact: the reader, the trainers and what they leave behind."""
