"""Facts about a person: distilled from what they said, stored with source and validity."""
