"""The memory service: keeps what people said, finds it again, gives it out and erases it."""
