"""Simulated people, what happens to them, and who watches."""
