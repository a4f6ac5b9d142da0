"""The hosted tools: code interpreter, document library, image generation and web search."""
