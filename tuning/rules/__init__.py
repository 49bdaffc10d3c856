"""Rule versions, one TOML file each."""
