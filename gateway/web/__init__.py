"""The first page, its WebSocket edge and the live media that goes over it."""
