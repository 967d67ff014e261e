"""What is inside wheels and images."""
