"""What engines share whose model speaks symbols and predicts how long it speaks each of them."""
