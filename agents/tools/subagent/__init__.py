"""Tools of type `agent`: a call starts a run of another agent."""
