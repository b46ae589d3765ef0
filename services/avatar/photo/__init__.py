"""Avatars of one photo: finding the face, making the package, drawing it."""
