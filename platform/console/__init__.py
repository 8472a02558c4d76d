"""The pages people work in. Views look up, call an action, render; what they show is made by the pure modules here."""
