"""What every server of Anima shares, from its settings to the files of its models."""
