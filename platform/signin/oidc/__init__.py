"""Signing in through a tenant's own OpenID Connect provider: allauth's flow, with what it leaves open closed.

Governed by OpenID Connect Core 1.0 (the code flow), Discovery 1.0, RFC 7636 (PKCE) and RFC 9207 (who answered). What a
provider says is good in its own tenant only: `signin.reach`.
"""
