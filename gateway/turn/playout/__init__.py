"""When media is sent, and how much of it was heard."""
