"""The limits of what one caller may hold: time, places, bytes."""
