"""The knowledge base: documents that answers cite, owned by a person or shared by a persona."""
