"""What is inside a wheel or an image: readers of single files, and what their bytes say about the bug."""
