"""Who people are: accounts, passwords, sessions, keys for scripts, and OpenID Connect."""
