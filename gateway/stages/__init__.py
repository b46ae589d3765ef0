"""The gateway's view of the stages: channels, streams and catalogue."""
