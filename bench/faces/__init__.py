"""What is measured of a rendered face."""
