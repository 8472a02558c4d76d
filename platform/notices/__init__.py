"""E-mail to people: what waits for them, what was decided on their requests; at once, or gathered into digests."""
