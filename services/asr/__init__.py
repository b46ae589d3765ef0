"""Speech recognition: microphone audio in, transcripts and speech events out."""
