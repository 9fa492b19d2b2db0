"""Who someone is: accounts, tokens, keys, profiles."""
