"""What the memory recalls: measurements on conversations and on memories in two languages."""
