"""The one guarded way to the outside: `installed.client()`. Nothing but `installed` needs Django."""
