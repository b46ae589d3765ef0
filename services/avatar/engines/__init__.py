"""The engines of the avatar stage, one file each."""
