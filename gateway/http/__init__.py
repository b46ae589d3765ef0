"""The HTTP edge of the gateway: REST, health, and the routes of the page."""
