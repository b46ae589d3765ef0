"""What the selector of the memory is trained with."""
