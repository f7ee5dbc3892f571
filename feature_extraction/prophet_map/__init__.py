"""Prophet's maximum a posteriori fit for whole batches of series, solved exactly: `engine.fit`, or `solve.fit`."""
