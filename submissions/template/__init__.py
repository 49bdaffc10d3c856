"""What `pacebench new` copies: one metadata file, and one Python file per level and framework."""
