"""Networks built from minigrad's public names."""
