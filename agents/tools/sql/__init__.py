"""Tools that are read-only queries on a data source."""
