"""What the SQL backends of aaow-storage share."""
