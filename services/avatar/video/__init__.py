"""H.264 encoding of frames, and the clock of the video."""
