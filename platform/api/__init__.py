"""The REST interface: parse, look up, call an action, render. No business rule lives here."""
