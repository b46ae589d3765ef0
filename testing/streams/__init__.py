"""Clients of single stages: requests, and what a stream of responses must be."""
