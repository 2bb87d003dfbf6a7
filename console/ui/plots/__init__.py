"""Curves: numpy rasters for many small ones, pyqtgraph for the few a person studies."""
