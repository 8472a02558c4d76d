"""What processes count, summed over the installation."""
