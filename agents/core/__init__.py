"""The pure core: what a run is and what happens next. No Django, no clock, no network, no randomness."""
