"""The words that the gateway knows, a file a language: what it says, and what it listens for."""
