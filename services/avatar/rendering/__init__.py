"""How the portrait engine draws: a scene of layers, and the parts that are drawn in every frame."""
