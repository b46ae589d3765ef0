"""The knowledge base: documents that answers cite, of one person or shared by a persona."""
