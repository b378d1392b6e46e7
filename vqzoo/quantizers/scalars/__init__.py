"""No table: each channel is rounded by itself."""
