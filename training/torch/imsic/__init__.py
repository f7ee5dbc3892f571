"""IMSIC: rare rows by a generator with codes that a person named (He et al., IJCAI 2021)."""
