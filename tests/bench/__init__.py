"""What the program costs, measured on this machine: `make bench`."""
