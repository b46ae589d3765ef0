"""Live media by WebRTC: the idle loop and the answers on one clock, to one peer."""
