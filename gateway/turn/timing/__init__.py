"""How long each stage took, and what the person waited for."""
