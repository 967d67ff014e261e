"""Pure decisions: what is news, what fits the device, what could be tried and what of it is due."""
