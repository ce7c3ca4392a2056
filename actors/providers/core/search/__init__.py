"""Looking for who has a key: one lookup, all searches of a node, and what is asked for them."""
