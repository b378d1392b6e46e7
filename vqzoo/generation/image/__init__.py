"""Images that are repaired and restyled."""
