"""The conversation: its history, small talk, continuing, and what to offer."""
