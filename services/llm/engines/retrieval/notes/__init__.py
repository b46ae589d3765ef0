"""What the person told: kept, acknowledged, found again and forgotten."""
