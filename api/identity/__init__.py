"""People: roles, accounts, how they sign in, and what is kept of them."""
