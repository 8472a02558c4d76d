"""The page that the link in an invitation leads to."""
