"""The one guarded way to the outside. Needs no Django; `client.Client` is what others use."""
