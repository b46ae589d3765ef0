"""Avatars made of one photo: finding the face, creating the package and drawing it."""
