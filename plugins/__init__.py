"""Plugins, a folder each. See console.extend."""
