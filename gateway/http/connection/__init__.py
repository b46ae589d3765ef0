"""Connections before a request is read: accepted, counted, and limited in time."""
