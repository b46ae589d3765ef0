"""Facts about written languages shared by every service: scripts, languages, abbreviations.

It imports nothing of the project, so any package may import it. Tokenisation for search is in
`retrieval.tokeniser`, conversion of text for speech in `services.llm.speech`.
"""
