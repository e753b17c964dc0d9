"""Who may do what: passwords, tokens, sessions and the rules of accounts."""
