"""Outgoing webhooks, in the form of Standard Webhooks: who wants to be told what, signed, tried again for a day."""
