"""What is spoken for a text: which voice reads which part, and in which words."""
