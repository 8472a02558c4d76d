"""A scripted server that speaks the Messages API: `python -m agents.providers.rehearsal`. See docs/rehearsal.md.

Needs neither Django nor the SDK. It is as strict about requests as the real API, so that what passes here passes there.
"""
