"""Retrieval over document libraries in this process: texts synced, chunked, ranked. Knows no framework.

The service has no search call for libraries, so the wings rank here: `engine.LibraryEngine` is the entrance.
numpy, regex and PyStemmer are loaded when first needed (extra `retrieval`, part of `llama-index` and `server`).
"""
