"""The engine `gguf`: llama.cpp in a process of its own, for any model in its file format."""
