"""The time that each stage took, and its share of the time that the person waited."""
