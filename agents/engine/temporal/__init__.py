"""The engine for installations that have Temporal: it dispatches, the journal keeps the truth. See docs/temporal.md."""
