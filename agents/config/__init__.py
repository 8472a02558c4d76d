"""Configuration as YAML: read it, say what would change, apply it, write it out."""
