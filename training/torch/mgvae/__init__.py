"""MGVAE: rare rows by translating majority rows (Ai et al., AISTATS 2023)."""
