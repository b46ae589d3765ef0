"""The web page: its routes and its static files."""
