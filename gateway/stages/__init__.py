"""The stages as the gateway sees them: channels, streams, what they offer."""
