"""The importance vector: rarity without labels, and a balanced table made by it."""
