"""Decodes files of strangers in processes that can do nothing but compute: see docs/sandbox.md.

`Sandbox` is the side of the service; `python -m services.runtime.sandbox.fork_server` is the other.
"""
