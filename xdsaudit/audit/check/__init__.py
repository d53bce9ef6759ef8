"""The linter of batches, a family of rules a module; each says what it knows as remarks, and ``families`` gathers them."""
