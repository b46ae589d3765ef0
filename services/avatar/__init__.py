"""The avatar stage: audio and marks in, H.264 and the same audio out, on one clock."""
