"""Pictures that a person shows in a conversation."""
