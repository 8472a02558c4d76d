"""What must not stand in a text: credentials, personal data, attempts to instruct a model, signs nobody sees. Pure.

`finding.find` says where in a text, `masking` takes it out of texts and JSON. A finder is a function from a text to the
places it found; to add one: a function in `credentials`, `persons` or `suspicious`, and a line in `finding.FINDERS`.
Which library knows what, and why: docs/adr/0018.
"""
