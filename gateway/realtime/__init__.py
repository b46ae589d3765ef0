"""Conversations over WebSocket, in the event names of the OpenAI Realtime API."""
