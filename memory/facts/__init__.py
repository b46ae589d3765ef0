"""What holds about a person: distilled from what they said, kept with its source and validity."""
