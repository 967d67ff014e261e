"""The nouns of the product: frozen values without behaviour that reads or writes anything."""
