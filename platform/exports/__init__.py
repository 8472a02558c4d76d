"""The log as files to take away: made by the workers beside their runs, kept for some days, and downloaded."""
