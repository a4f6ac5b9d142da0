"""Search indexes (`/v1/context/search-indexes`): experimental.

The service's API is a preview and not in its official description. This is built from the models of Mistral's SDK;
what they don't say is a guess, and said to be one where it is made.
"""
