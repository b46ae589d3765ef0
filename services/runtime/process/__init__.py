"""The process itself: its event loop, tasks, threads, memory and private files."""
