"""What is remembered, and how it is filled, paged and kept."""
