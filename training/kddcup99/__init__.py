"""KDD Cup 1999 as a test bed for a rare class: its two files, the ways to split them, and what verdicts are worth."""
