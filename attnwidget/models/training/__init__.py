"""Train the reference systems: one loop for all, one course for each."""
