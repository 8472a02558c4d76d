"""What docs/running.md says an operator does, done on a PostgreSQL server of the test's own, with passwords."""
