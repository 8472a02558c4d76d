"""What is learnt from people: their corrections, kept as cases of an agent, and their feedback on outputs."""
