"""The stages of Anima, one package each, and what their servers share (`services.runtime`)."""
