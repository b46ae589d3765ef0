"""Facts about written language that every service shares: scripts, languages, abbreviations.

It imports nothing of the project, so that anything may import it. How text is searched is
`retrieval.tokeniser`; how text is cleaned for a voice is `services.llm.speech`.
"""
