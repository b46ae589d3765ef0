"""Media over WebRTC."""
