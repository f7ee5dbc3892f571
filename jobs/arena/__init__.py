"""The arena: every method on every data set beside what people would use instead, and the page it fills."""
