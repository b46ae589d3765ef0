"""The memory service: stores what people said, finds it again, returns it and erases it."""
