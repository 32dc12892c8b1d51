"""Items as the rectangles that a training step takes, prepared ahead."""
