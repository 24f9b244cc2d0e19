"""What goes over the wire: bodies, errors, discovery, OpenAPI, patches and managed fields.

Pure functions on bytes and plain JSON dictionaries. Nothing here knows of HTTP, of the store or of time.
"""
