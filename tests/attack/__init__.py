"""Attacks on meshes of real processes: what was found once stays fixed, with its kind."""
