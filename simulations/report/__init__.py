"""A comparison as one HTML file that needs nothing else: pictures, the figures beside them, the scenario."""
