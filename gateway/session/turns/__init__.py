"""Turn-taking: which words count, and when an answer begins or ends."""
