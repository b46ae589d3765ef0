"""Who calls, and what the caller may do: tokens, roles and the table of permissions."""
