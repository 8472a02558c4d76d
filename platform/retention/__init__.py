"""How long what concerns people is kept: holds, erasures, terms; each of them takes two persons."""
