"""What a patch was lost to: what the infrared shows, what layers tell, and how that is decided."""
