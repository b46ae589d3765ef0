"""Frames to H.264, and the video's clock."""
